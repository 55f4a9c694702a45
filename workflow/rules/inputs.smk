"""Functions that name the inputs of rules, in the order of the pipeline."""


def slide_file(wildcards):
    return slide_of(wildcards).slide


def annotation_file(wildcards):
    return layout.source_of(slide_of(wildcards), wildcards.role)


def raster_source(wildcards):
    """The user's own raster, or the GeoJSON that read-annotations makes of shapes."""
    path = annotation_file(wildcards)
    if is_raster(path):
        return path
    return (
        f"results/slides/{wildcards.dataset}/{wildcards.slide}/{wildcards.role}.geojson"
    )


def all_records(wildcards):
    """That every slide was checked."""
    return [
        layout.slide_folder(name, slide.id) / "slide.json"
        for name in DATASETS
        for slide in PROJECT.datasets[name].slides
    ]


def all_counts(wildcards):
    """Where slides may be skipped, also what else tells whether a slide can be used."""
    files = []
    for slide in dataset_of(wildcards).slides:
        folder = layout.slide_folder(wildcards.dataset, slide.id)
        files += [folder / f"{role}.json" for role in layout.roles_of(slide)]
        if SKIPPING:
            files.append(folder / "slide.json")
            files += [folder / "tissue.tif"] if slide.may_test else []
    return files


def of_dataset(wildcards, wanted):
    """Of files of runs those of the dataset's."""
    runs = set(dataset_runs(wildcards))
    return [path for path in wanted if path.parts[2] in runs]


def described(wildcards):
    """What is told of maps without scores."""
    wanted = (
        all_quantities(wildcards) + all_exports(wildcards) + all_overviews(wildcards)
    )
    return of_dataset(wildcards, wanted)


def verdict_results(wildcards):
    """All that is wanted of a dataset: its verdict comes last."""
    return described(wildcards) + results_of(wildcards.dataset)


def predicted_results(wildcards):
    return described(wildcards) + of_dataset(wildcards, all_maps(wildcards))


def verdicts(name):
    """Where slides may be skipped the exit status tells whether any was."""
    if not SKIPPING:
        return []
    return [layout.report_folder(one) / name for one in DATASETS]


def all_verdicts(wildcards):
    return verdicts("verdict.txt")


def predicted_verdicts(wildcards):
    return verdicts("verdict_of_predictions.txt")


def run_splits(wildcards):
    return layout.splits_sheet(EVERY_RUN[wildcards.run].dataset_name)


def train_slides(wildcards):
    run = EVERY_RUN[wildcards.run]
    sides = assigned(run)
    return [*run.slides("training", sides), *run.slides("validation", sides)]


def train_images(wildcards):
    return [slide.slide for slide in train_slides(wildcards)]


def train_masks(wildcards):
    return [
        slide_folder(wildcards.run, slide.id) / "labels.tif"
        for slide in train_slides(wildcards)
    ]


def train_centres(wildcards):
    name = layout.centres_name(EVERY_RUN[wildcards.run].patch_spec)
    return [
        slide_folder(wildcards.run, slide.id) / name
        for slide in train_slides(wildcards)
    ]


def all_centres(wildcards):
    """Of every experiment that is trained; with `--until index_centres` nothing is made where splits are made too."""
    files = []
    for name, run in DECLARED.items():
        if isinstance(run, (DenseRun, ClassifierRun)) and not run.settings.checkpoint:
            one = SimpleNamespace(run=name)
            files += [run_splits(one), *train_centres(one)]
    return files


def train_start(wildcards):
    start = EVERY_RUN[wildcards.run].settings.starts_from
    return [] if start is None else start


def encoder_files(wildcards):
    """Code and first weights of an encoder of the user's own, where they are files."""
    settings = EVERY_RUN[wildcards.run].settings
    files = (settings.encoder_code, settings.encoder_weights)
    return [one for one in files if one is not None]


def encoder_code(wildcards):
    """The code alone: its first weights no longer count once it is trained."""
    code = EVERY_RUN[wildcards.run].settings.encoder_code
    return [] if code is None else code


def train_weights(wildcards):
    """The backbone's file, where a classifier starts from one."""
    weights = EVERY_RUN[wildcards.run].settings.network.weights
    return [] if weights is None else weights


def train_clusters(wildcards):
    found = EVERY_RUN[wildcards.run].clusters_file
    return [] if found is None else found


def cluster_slides(wildcards):
    run = EVERY_RUN[wildcards.run]
    return run.slides("training", assigned(run))


def cluster_images(wildcards):
    return [slide.slide for slide in cluster_slides(wildcards)]


def cluster_centres(wildcards):
    name = layout.centres_name(EVERY_RUN[wildcards.run].patch_spec)
    return [
        slide_folder(wildcards.run, slide.id) / name
        for slide in cluster_slides(wildcards)
    ]


def train_heat_maps(wildcards):
    """Of each slide, by a classifier that has not been trained on it (unless the settings allow that)."""
    run = EVERY_RUN[wildcards.run]
    sides = assigned(run)
    try:
        return [
            layout.probabilities_path(source, slide)
            for split in ("training", "validation")
            for slide, source in run.heat_maps(split, sides).items()
        ]
    except HookNetError as error:
        stop(error)


def refine_heat_map(wildcards):
    parent = EVERY_RUN[wildcards.run].parent
    if parent is None:
        return []
    return layout.probabilities_path(parent.name, wildcards.slide)


def infer_checkpoint(wildcards):
    return EVERY_RUN[wildcards.run].weights


def infer_members(wildcards):
    """The weights of an ensemble, besides those of its first member."""
    return list(EVERY_RUN[wildcards.run].members[1:])


def infer_tissue(wildcards):
    if EVERY_RUN[wildcards.run].settings.predicts_over != "tissue":
        return []
    return slide_folder(wildcards.run, wildcards.slide) / "tissue.tif"


def infer_mask(wildcards):
    if EVERY_RUN[wildcards.run].settings.predicts_over != "mask":
        return []
    return slide_of(wildcards).infer_mask


def infer_labels(wildcards):
    """Rasters that the map will be scored against: all their pixels are predicted, also pale fat."""
    folder = slide_folder(wildcards.run, wildcards.slide)
    return [folder / f"{role}.tif" for role in layout.roles_of(slide_of(wildcards))]


def all_maps(wildcards):
    return [
        layout.map_path(name, slide.id)
        for name, run in all_runs().items()
        for slide in test_slides(run)
    ]


def truth_mask(wildcards):
    return slide_folder(wildcards.run, wildcards.slide) / f"{wildcards.role}.tif"


def all_quantities(wildcards):
    """What is told of a map without any truth: quantities, and objects where classes are."""
    wanted = []
    for name, run in all_runs().items():
        counted = any(one.objects for one in run.dataset.classes.values())
        for slide in test_slides(run):
            wanted.append(layout.measures_path(name, "quantities", slide.id))
            if counted:
                wanted.append(layout.objects_path(name, slide.id))
    return wanted


def overview_slides(wildcards):
    return [slide.slide for slide in test_slides(EVERY_RUN[wildcards.run])]


def overview_maps(wildcards):
    name = wildcards.run
    return [layout.map_path(name, slide.id) for slide in test_slides(EVERY_RUN[name])]


def overview_uncertainty(wildcards):
    """How sure the maps are, where the experiment asks for it."""
    name = wildcards.run
    if not EVERY_RUN[name].settings.keeps_uncertainty:
        return []
    return [
        layout.uncertainty_path(name, slide.id)
        for slide in test_slides(EVERY_RUN[name])
    ]


def overview_quantities(wildcards):
    name = wildcards.run
    return [
        layout.measures_path(name, "quantities", slide.id)
        for slide in test_slides(EVERY_RUN[name])
    ]


def all_overviews(wildcards):
    """A page of the maps of each network whose weights are used as they are."""
    return [
        layout.overview_path(name)
        for name, run in all_runs().items()
        if isinstance(run, DenseRun) and not run.settings.is_trained
    ]


def dataset_cards(wildcards):
    """What the report links to of each network that was trained here and gives a class per pixel."""
    return [
        layout.card_path(name)
        for name in dataset_runs(wildcards)
        if isinstance(EVERY_RUN[name], DenseRun) and EVERY_RUN[name].settings.is_trained
    ]


def all_exports(wildcards):
    return [
        layout.export_path(name, slide.id, format_)
        for name, run in all_runs().items()
        for format_ in run.settings.exports
        for slide in test_slides(run)
    ]


def dense_truth(wildcards):
    return slide_folder(wildcards.run, wildcards.slide) / "truth.tif"


def scored_truth(wildcards):
    """What a slide is scored against first: its dense truth where it has one."""
    *_, role = layout.roles_of(slide_of(wildcards))
    return slide_folder(wildcards.run, wildcards.slide) / f"{role}.tif"


def volume_truth(wildcards):
    """The slices of a volume, each as the volume is scored against."""
    volume = volume_of(wildcards)
    return [
        slide_folder(wildcards.run, slide.id) / f"{volume.scored_role}.tif"
        for slide in volume.slides
    ]


def volume_maps(wildcards):
    return [
        layout.map_path(wildcards.run, slide.id)
        for slide in volume_of(wildcards).slides
    ]


def slide_tissue(wildcards):
    return slide_folder(wildcards.run, wildcards.slide) / "tissue.tif"


def kept_probabilities(wildcards):
    if not EVERY_RUN[wildcards.run].settings.keeps_probabilities:
        return []
    return layout.probabilities_path(wildcards.run, wildcards.slide)


def dataset_measures(wildcards):
    """What is measured on maps besides overlap, as far as slides and settings allow."""
    wanted = []
    for name in dataset_runs(wildcards):
        run = EVERY_RUN[name]
        for slide in test_slides(run):
            wanted.append(layout.measures_path(name, "quantities", slide.id))
            roles = layout.roles_of(slide)
            if "truth" in roles:
                wanted.append(layout.measures_path(name, "boundaries", slide.id))
            if roles and run.settings.keeps_probabilities:
                wanted.append(layout.measures_path(name, "calibration", slide.id))
            if roles and any(one.objects for one in run.dataset.classes.values()):
                wanted.append(layout.measures_path(name, "matches", slide.id))
        wanted += [
            layout.volume_path(name, volume.name)
            for volume in volumes_of(test_slides(run)).values()
            if volume.role is not None
        ]
    return wanted


def dataset_counts(wildcards):
    return [
        layout.counts_path(name, role, slide.id)
        for name in dataset_runs(wildcards)
        for slide in test_slides(EVERY_RUN[name])
        for role in layout.roles_of(slide)
    ]


def dataset_windows(wildcards):
    """Where maps agree least and most with what they are scored against."""
    return [
        layout.windows_path(name, role, slide.id)
        for name in dataset_runs(wildcards)
        for slide in test_slides(EVERY_RUN[name])
        for role in layout.roles_of(slide)
    ]


def dataset_results(wildcards):
    """What the report shows besides counts."""
    maps = [
        layout.map_path(name, slide.id)
        for name in dataset_runs(wildcards)
        for slide in test_slides(EVERY_RUN[name])
    ]
    curves = [
        layout.run_folder(name) / "metrics.csv"
        for name in dataset_runs(wildcards)
        if EVERY_RUN[name].settings.is_trained
    ]
    unsure = [
        layout.uncertainty_path(name, slide.id)
        for name in dataset_runs(wildcards)
        if isinstance(EVERY_RUN[name], DenseRun)
        and EVERY_RUN[name].settings.keeps_uncertainty
        for slide in test_slides(EVERY_RUN[name])
    ]
    records = [
        layout.slide_folder(wildcards.dataset, slide.id) / "slide.json"
        for slide in dataset_of(wildcards).slides
    ]
    return maps + unsure + curves + records


def trial_earlier(wildcards):
    """What the rung before kept; how long a rung is the ranking says, but for the first."""
    rung = int(wildcards.rung)
    if rung == 0:
        return []
    checkpoints.rank_views.get(search=wildcards.search)
    return layout.rung_folder(wildcards.search, wildcards.run, rung - 1) / "state"


def single_points(wildcards):
    search = SEARCHES[wildcards.search]
    return [layout.points_path(search.name, name, 0) for name in search.singles]


def trials_at(search, rung):
    """The file that says which trials a rung has; the rung before comes first."""
    if rung == 0:
        return checkpoints.rank_views.get(search=search).output.trials
    return checkpoints.promote_trials.get(search=search, rung=rung - 1).output.trials


def points_at(search, rung):
    names = read_json(trials_at(search, rung))["trials"]
    return [layout.points_path(search, name, rung) for name in names]


def search_ranking(wildcards):
    return layout.ranking_folder(wildcards.search)


def rung_trials(wildcards):
    return trials_at(wildcards.search, int(wildcards.rung))


def rung_points(wildcards):
    return points_at(wildcards.search, int(wildcards.rung))


def last_rung(search):
    checkpoints.rank_views.get(search=search)
    return rungs_at(search).last


def last_trials(wildcards):
    return trials_at(wildcards.search, last_rung(wildcards.search))


def last_points(wildcards):
    return points_at(wildcards.search, last_rung(wildcards.search))
