"""Patch centres -> weights.

hooknet train    results/runs/<run>/{best,last}.ckpt, metrics.csv
"""


def train_settings(wildcards):
    """All that weights depend on: not how a map will be inferred."""
    run = RUNS[wildcards.run]
    classes = [(one.name, one.value) for one in run.dataset.label_map.classes]
    settings = run.settings.model_dump(mode="json", exclude={"infer", "seeds", "folds"})
    return digest(settings, run.seed, run.fold, classes)


def train_threads(wildcards):
    return RUNS[wildcards.run].settings.train.threads


def train_slides(wildcards):
    run = RUNS[wildcards.run]
    sides = assigned(run)
    return [*run.slides("training", sides), *run.slides("validation", sides)]


def train_images(wildcards):
    return [slide.slide for slide in train_slides(wildcards)]


def train_masks(wildcards):
    return [slide_folder(wildcards.run, slide.id) / "labels.tif" for slide in train_slides(wildcards)]


def train_centres(wildcards):
    name = layout.centres_name(NetworkShape(RUNS[wildcards.run].network).patch_spec)
    return [slide_folder(wildcards.run, slide.id) / name for slide in train_slides(wildcards)]


def train_start(wildcards):
    start = RUNS[wildcards.run].settings.train.init_from
    return [] if start is None else start


def run_splits(wildcards):
    return layout.splits_sheet(RUNS[wildcards.run].dataset_name)


def run_slides_folder(wildcards):
    return layout.splits_sheet(RUNS[wildcards.run].dataset_name).parent


rule train:
    input:
        splits=run_splits,
        slides=train_images,
        masks=train_masks,
        centres=train_centres,
        start=train_start,
    output:
        best="results/runs/{run}/best.ckpt",
        last="results/runs/{run}/last.ckpt",
        metrics=report(
            "results/runs/{run}/metrics.csv",
            caption="../report/metrics.rst",
            category="Training",
            labels={"run": "{run}"},
        ),
    log:
        "results/logs/train/{run}.log",
    benchmark:
        "results/benchmarks/train/{run}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: train_threads
    resources:
        gpu=1,
        mem_mb=12000,
        runtime=4320,
    params:
        settings=train_settings,
        files=FILES,
        folder=run_slides_folder,
        # Lives only while a training does; not an output, since those are deleted when a job is killed.
        state="results/runs/{run}/state",
    shell:
        "python -m hooknet train --run {wildcards.run:q} --slides-folder {params.folder:q}"
        " --splits {input.splits:q} --best {output.best:q} --last {output.last:q}"
        " --metrics {output.metrics:q} --state {params.state:q} {params.files} > {log:q} 2>&1"
