"""Patch centres -> weights.

hooknet train    results/runs/<run>/{best,last}.ckpt, metrics.csv
hooknet card     results/runs/<run>/card.md    what the weights are, for those who meet them
"""


rule train:
    input:
        splits=run_splits,
        slides=train_images,
        masks=train_masks,
        centres=train_centres,
        start=train_start,
        encoder=encoder_files,
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
    wildcard_constraints:
        run=names_of(DenseRun),
    conda:
        "../../envs/hooknet.yaml"
    threads: train_threads
    resources:
        **MACHINES,
        gpu=train_gpus,
        mem_mb=train_memory,
        runtime=train_minutes,
    params:
        code=running("train"),
        settings=train_settings,
        folder=run_slides_folder,
        # Lives only while a training does; not an output, since those are deleted when a job is killed.
        state="results/runs/{run}/state",
    shell:
        "{resources.launch}python -m hooknet train --run {wildcards.run:q} --slides-folder {params.folder:q}"
        " --splits {input.splits:q} --best {output.best:q} --last {output.last:q}"
        " --metrics {output.metrics:q} --state {params.state:q} > {log:q} 2>&1"


rule card:
    input:
        checkpoint=infer_checkpoint,
    output:
        card="results/runs/{run}/card.md",
    log:
        "results/logs/card/{run}.log",
    benchmark:
        "results/benchmarks/card/{run}.tsv"
    wildcard_constraints:
        run=names_of(DenseRun),
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=running("card"),
    shell:
        "python -m hooknet card {input.checkpoint:q} --output {output.card:q} > {log:q} 2>&1"
