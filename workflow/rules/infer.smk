"""Weights and slides -> maps.

hooknet infer    results/runs/<run>/maps/<slide>.tif (and probabilities/<slide>.tif where wanted)
"""


def infer_settings(wildcards):
    run = RUNS[wildcards.run]
    colours = [one.colour for one in run.dataset.label_map.classes]
    return digest(run.settings.infer, colours, slide_of(wildcards))


def infer_tissue(wildcards):
    if RUNS[wildcards.run].settings.infer.over != "tissue":
        return []
    return slide_folder(wildcards.run, wildcards.slide) / "tissue.tif"


def infer_mask(wildcards):
    if RUNS[wildcards.run].settings.infer.over != "mask":
        return []
    return slide_of(wildcards).infer_mask


def infer_labels(wildcards):
    """Rasters that the map will be scored against: all their pixels are predicted, also pale fat."""
    folder = slide_folder(wildcards.run, wildcards.slide)
    return [folder / f"{role}.tif" for role in layout.roles_of(slide_of(wildcards))]


def infer_options(wildcards, input):
    """Flags for what is there only sometimes."""
    flags = [f"--tissue {quote(input.tissue)}"] if input.tissue else []
    flags += [f"--labels {quote(path)}" for path in input.labels]
    if RUNS[wildcards.run].settings.infer.probabilities:
        folder = layout.run_folder(wildcards.run) / "probabilities"
        flags.append(f"--probabilities {quote(str(folder / wildcards.slide))}.tif")
    return " ".join(flags)


rule infer:
    input:
        checkpoint="results/runs/{run}/best.ckpt",
        slide=slide_file,
        tissue=infer_tissue,
        mask=infer_mask,
        labels=infer_labels,
    output:
        map="results/runs/{run}/maps/{slide}.tif",
    log:
        "results/logs/infer/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/infer/{run}/{slide}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: train_threads
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    params:
        settings=infer_settings,
        options=infer_options,
        files=FILES,
    shell:
        "python -m hooknet infer --run {wildcards.run:q} --slide {wildcards.slide:q}"
        " --checkpoint {input.checkpoint:q} --output {output.map:q} {params.options}"
        " {params.files} > {log:q} 2>&1"
