"""Functions that name the parameters of rules.

Each rule carries a digest of the settings that its outputs depend on, and one of the code behind its command, so that
it runs again when these change, and only then.
"""

from hooknet.config.code import code_of


def running(command):
    """The code behind a command, as a parameter of its rule."""

    def code(wildcards):
        return code_of(command)

    return code


def phantom_dataset(wildcards):
    return PHANTOMS[wildcards.slide]


def phantom_settings(wildcards):
    return digest(PROJECT.datasets[phantom_dataset(wildcards)].phantom)


def slide_settings(wildcards):
    """What a slide's own facts depend on besides its file."""
    return digest(
        slide_of(wildcards).model_dump(mode="json", include={"slide", "spacing"})
    )


def annotation_settings(wildcards):
    dataset = dataset_of(wildcards)
    # How regions are counted one by one is no matter of masks.
    classes = {
        name: one.model_dump(mode="json", exclude={"objects"})
        for name, one in dataset.classes.items()
    }
    keys = {
        "hole_groups",
        "hole_order",
        "ignore_groups",
        "region_groups",
        "region_default",
        "origin",
    }
    return digest(
        slide_settings(wildcards),
        {"classes": classes, **dataset.model_dump(mode="json", include=keys)},
    )


def rasterise_settings(wildcards):
    return digest(
        annotation_settings(wildcards), PROJECT.mask_spacing(wildcards.dataset)
    )


def tissue_settings(wildcards):
    return digest(slide_settings(wildcards), dataset_of(wildcards).tissue)


def centre_settings(wildcards):
    return digest(dataset_of(wildcards).centres)


def split_settings(wildcards):
    """Which folds test is all that the check of the splits asks of the experiments."""
    dataset = dataset_of(wildcards)
    rows = [
        one.model_dump(mode="json", include={"id", "patient", "split", "fold"})
        for one in dataset.slides
    ]
    folds = sorted(
        {
            run.fold
            for run in EVERY_RUN.values()
            if run.dataset_name == wildcards.dataset
        },
        key=str,
    )
    on_error = ["skip"] if SKIPPING else []
    return digest(rows, dataset.splits, folds, *on_error)


def splits_folder(wildcards):
    return layout.splits_sheet(wildcards.dataset).parent


def run_slides_folder(wildcards):
    return layout.splits_sheet(EVERY_RUN[wildcards.run].dataset_name).parent


def train_threads(wildcards):
    """Cores of a training on each machine."""
    asked = needs(wildcards.run)
    return asked.train_devices * asked.train_cores


def infer_threads(wildcards):
    return EVERY_RUN[wildcards.run].settings.train.threads


def cluster_settings(wildcards):
    return digest(EVERY_RUN[wildcards.run].cluster_settings())


def train_settings(wildcards):
    return digest(EVERY_RUN[wildcards.run].training_settings())


def infer_settings(wildcards):
    how = EVERY_RUN[wildcards.run].inference_settings()
    return digest(how, slide_settings(wildcards))


def overview_settings(wildcards):
    """Names, classes and slides; which slides there are stands among the inputs."""
    run = EVERY_RUN[wildcards.run]
    classes = [(one.name, one.colour) for one in run.dataset.label_map.classes]
    slides = [
        one.model_dump(mode="json", include={"id", "slide", "spacing"})
        for one in test_slides(run)
    ]
    return digest(run.name, classes, slides)


def clusters_options(wildcards, input):
    return f"--clusters {quote(str(input.clusters))}" if input.clusters else ""


def refine_options(wildcards, input, output):
    heat = f"--heat {quote(str(input.heat))} " if input.heat else ""
    return heat + infer_options(wildcards, input, output)


def infer_options(wildcards, input, output):
    """Flags for what is there only sometimes."""
    flags = [f"--tissue {quote(input.tissue)}"] if input.tissue else []
    flags += [f"--labels {quote(path)}" for path in input.labels]
    if "probabilities" in output.keys():
        flags.append(f"--probabilities {quote(output.probabilities)}")
    if "uncertainty" in output.keys():
        flags.append(f"--uncertainty {quote(output.uncertainty)}")
    return " ".join(flags)


def band_options(wildcards, input, output):
    return f"--band {wildcards.band} {infer_options(wildcards, input, output)}"


def bundle_settings(wildcards):
    """Those of inference, and of each slide that shares the job."""
    slides = [
        one.model_dump(mode="json", include={"id", "slide", "spacing"})
        for one in bundle_slides(wildcards)
    ]
    return digest(EVERY_RUN[wildcards.run].inference_settings(), slides)


def bundle_options(wildcards):
    return " ".join(f"--slide {quote(one.id)}" for one in bundle_slides(wildcards))


def unbundle_options(wildcards, output):
    if "probabilities" not in output.keys():
        return ""
    return f"--probabilities {quote(output.probabilities)}"


def join_options(wildcards, input, output):
    flags = [f"--band {quote(path)}" for path in input.bands]
    if "probabilities" in output.keys():
        flags += [f"--shares {quote(path)}" for path in input.shares]
        flags.append(f"--probabilities {quote(output.probabilities)}")
    return " ".join(flags)


def run_dataset(wildcards):
    return EVERY_RUN[wildcards.run].dataset_name


def run_maps_folder(wildcards):
    return layout.run_folder(wildcards.run) / "maps"


def volume_settings(wildcards):
    """Which slices a volume is stacked from, how far apart."""
    volume = volume_of(wildcards)
    slices = [slide.id for slide in volume.slides]
    return digest(slices, volume.positions, volume.thickness, volume.role)


def object_settings(wildcards):
    classes = dataset_of(wildcards).classes
    return digest({name: one.model_dump(mode="json") for name, one in classes.items()})


def detect_options(wildcards, input):
    if not input.probabilities:
        return ""
    return f"--probabilities {quote(str(input.probabilities))}"


def report_settings(wildcards):
    runs = {
        name: EVERY_RUN[name].settings.model_dump(mode="json")
        for name in dataset_runs(wildcards)
    }
    return digest(dataset_of(wildcards), runs)


def export_format(wildcards):
    formats = {suffix: name for name, suffix in layout.EXPORTS.items()}
    return formats[wildcards.suffix]


def report_options(wildcards):
    chosen = dataset_of(wildcards).report
    flags = {"--patients": chosen.patients, "--static": chosen.static_viewer}
    return " ".join(flag for flag, wanted in flags.items() if wanted)


def report_folder(wildcards, output):
    return Path(output.page).parent


def search_settings(wildcards):
    """All of it, and whose each slide is: cohorts are drawn of patients."""
    search = SEARCHES[wildcards.search]
    patients = {one.id: one.patient_id for one in search.dataset.slides}
    return digest(search.settings, patients)


def trial_epochs(wildcards):
    """Of the first rung as planned: the ranking on disk may be one of other settings, which comes again only after it."""
    if int(wildcards.rung) == 0:
        return SEARCHES[wildcards.search].settings.rungs.epochs[0]
    return rungs_at(wildcards.search).epochs[int(wildcards.rung)]


def trial_options(wildcards, input):
    return f"--earlier {quote(str(input.earlier))}" if input.earlier else ""
