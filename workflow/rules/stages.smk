"""Systems of stages: heat maps of patches, refined on the whole slide (H2G-Net).

hooknet fit-clusters        results/runs/<run>/clusters.ckpt             (of classifiers with `clusters`)
hooknet train-classifier    results/runs/<run>/{best,last}.ckpt, metrics.csv, draws.csv
hooknet classify-patches    results/runs/<run>/{maps,probabilities}/<slide>.tif: the probabilities are the heat map
hooknet train-refiner       results/runs/<run>/{best,last}.ckpt, metrics.csv
hooknet refine              results/runs/<run>/maps/<slide>.tif, and probabilities/<slide>.tif where they are kept
hooknet paint-tissue        results/runs/<run>/maps/<slide>.tif

A refiner's heat maps of training slides come from runs called <parent>-part<i>of<n>: its parent, trained without them.
"""


rule fit_clusters:
    input:
        splits=run_splits,
        weights=train_weights,
        slides=cluster_images,
        centres=cluster_centres,
    output:
        clusters="results/runs/{run}/clusters.ckpt",
    log:
        "results/logs/fit_clusters/{run}.log",
    benchmark:
        "results/benchmarks/fit_clusters/{run}.tsv"
    wildcard_constraints:
        run=names_of(ClassifierRun),
    conda:
        "../../envs/hooknet.yaml"
    threads: infer_threads
    resources:
        mem_mb=memory(8000),
        runtime=minutes(120, per_gb=60),
    params:
        code=running("fit-clusters"),
        settings=cluster_settings,
        folder=run_slides_folder,
    shell:
        "python -m hooknet fit-clusters --run {wildcards.run:q} --slides-folder {params.folder:q}"
        " --splits {input.splits:q} --output {output.clusters:q} > {log:q} 2>&1"


rule train_classifier:
    input:
        splits=run_splits,
        weights=train_weights,
        clusters=train_clusters,
        slides=train_images,
        masks=train_masks,
        centres=train_centres,
    output:
        best="results/runs/{run}/best.ckpt",
        last="results/runs/{run}/last.ckpt",
        metrics=report(
            "results/runs/{run}/metrics.csv",
            caption="../report/metrics.rst",
            category="Training",
            labels={"run": "{run}"},
        ),
        draws="results/runs/{run}/draws.csv",
    log:
        "results/logs/train_classifier/{run}.log",
    benchmark:
        "results/benchmarks/train_classifier/{run}.tsv"
    wildcard_constraints:
        run=names_of(ClassifierRun),
    conda:
        "../../envs/hooknet.yaml"
    threads: train_threads
    resources:
        **MACHINES,
        gpu=train_gpus,
        mem_mb=train_memory,
        runtime=train_minutes,
    params:
        code=running("train-classifier"),
        settings=train_settings,
        folder=run_slides_folder,
        options=clusters_options,
        # Lives only while a training does; not an output, since those are deleted when a job is killed.
        state="results/runs/{run}/state",
    shell:
        "{resources.launch}python -m hooknet train-classifier --run {wildcards.run:q} --slides-folder {params.folder:q}"
        " --splits {input.splits:q} --best {output.best:q} --last {output.last:q}"
        " --metrics {output.metrics:q} --draws {output.draws:q} --state {params.state:q} {params.options}"
        " > {log:q} 2>&1"


rule classify_patches:
    input:
        checkpoint=infer_checkpoint,
        slide=slide_file,
        tissue=infer_tissue,
        mask=infer_mask,
        labels=infer_labels,
    output:
        map="results/runs/{run}/maps/{slide}.tif",
        probabilities="results/runs/{run}/probabilities/{slide}.tif",
    log:
        "results/logs/classify_patches/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/classify_patches/{run}/{slide}.tsv"
    wildcard_constraints:
        run=names_of(ClassifierRun),
    conda:
        "../../envs/hooknet.yaml"
    threads: infer_threads
    resources:
        gpu=1,
        mem_mb=infer_memory,
        runtime=infer_minutes,
        attempt=attempt_number,
    params:
        code=running("classify-patches"),
        settings=infer_settings,
        options=infer_options,
    shell:
        "python -m hooknet classify-patches --run {wildcards.run:q} --slide {wildcards.slide:q}"
        " --checkpoint {input.checkpoint:q} --output {output.map:q} --memory $(({resources.mem_mb} / {resources.attempt}))"
        " {params.options} > {log:q} 2>&1"


rule train_refiner:
    input:
        splits=run_splits,
        slides=train_images,
        masks=train_masks,
        heat_maps=train_heat_maps,
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
        "results/logs/train_refiner/{run}.log",
    benchmark:
        "results/benchmarks/train_refiner/{run}.tsv"
    wildcard_constraints:
        run=names_of(RefinerRun),
    conda:
        "../../envs/hooknet.yaml"
    threads: train_threads
    resources:
        **MACHINES,
        gpu=train_gpus,
        mem_mb=train_memory,
        runtime=train_minutes,
    params:
        code=running("train-refiner"),
        settings=train_settings,
        folder=run_slides_folder,
        state="results/runs/{run}/state",
    shell:
        "{resources.launch}python -m hooknet train-refiner --run {wildcards.run:q} --slides-folder {params.folder:q}"
        " --runs-folder results/runs --splits {input.splits:q} --best {output.best:q} --last {output.last:q}"
        " --metrics {output.metrics:q} --state {params.state:q} > {log:q} 2>&1"


rule refine:
    input:
        checkpoint=infer_checkpoint,
        slide=slide_file,
        heat=refine_heat_map,
        tissue=infer_tissue,
        mask=infer_mask,
        labels=infer_labels,
    output:
        map="results/runs/{run}/maps/{slide}.tif",
    log:
        "results/logs/refine/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/refine/{run}/{slide}.tsv"
    wildcard_constraints:
        run=names_of(RefinerRun, keeps_probabilities=False),
    conda:
        "../../envs/hooknet.yaml"
    threads: infer_threads
    resources:
        gpu=1,
        mem_mb=infer_memory,
        runtime=infer_minutes,
    params:
        code=running("refine"),
        settings=infer_settings,
        options=refine_options,
    shell:
        "python -m hooknet refine --run {wildcards.run:q} --slide {wildcards.slide:q}"
        " --checkpoint {input.checkpoint:q} --output {output.map:q} {params.options} > {log:q} 2>&1"


use rule refine as refine_with_probabilities with:
    output:
        map="results/runs/{run}/maps/{slide}.tif",
        probabilities="results/runs/{run}/probabilities/{slide}.tif",
    wildcard_constraints:
        run=names_of(RefinerRun, keeps_probabilities=True),


rule paint_tissue:
    input:
        tissue=slide_tissue,
    output:
        map="results/runs/{run}/maps/{slide}.tif",
    log:
        "results/logs/paint_tissue/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/paint_tissue/{run}/{slide}.tsv"
    wildcard_constraints:
        run=names_of(TissueRun),
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        code=running("paint-tissue"),
        settings=infer_settings,
    shell:
        "python -m hooknet paint-tissue --run {wildcards.run:q} --slide {wildcards.slide:q}"
        " --tissue {input.tissue:q} --output {output.map:q} > {log:q} 2>&1"
