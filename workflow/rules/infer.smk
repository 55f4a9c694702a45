"""Weights and slides -> maps.

hooknet infer    results/runs/<run>/maps/<slide>.tif, and {probabilities,uncertainty}/<slide>.tif where they are kept
hooknet export   results/runs/<run>/exports/<slide>.{geojson,xml,ome.tif,colours.tif} where they are wanted
"""


rule infer:
    input:
        checkpoint=infer_checkpoint,
        slide=slide_file,
        tissue=infer_tissue,
        mask=infer_mask,
        labels=infer_labels,
        encoder=encoder_code,
        members=infer_members,
    output:
        map="results/runs/{run}/maps/{slide}.tif",
    log:
        "results/logs/infer/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/infer/{run}/{slide}.tsv"
    wildcard_constraints:
        run=names_of(DenseRun, keeps_probabilities=False, splits=False, bundles=False),
    conda:
        "../../envs/hooknet.yaml"
    threads: infer_threads
    resources:
        gpu=1,
        mem_mb=infer_memory,
        runtime=infer_minutes,
        attempt=attempt_number,
    params:
        code=running("infer"),
        settings=infer_settings,
        options=infer_options,
    shell:
        "python -m hooknet infer --run {wildcards.run:q} --slide {wildcards.slide:q}"
        " --checkpoint {input.checkpoint:q} --output {output.map:q} --memory $(({resources.mem_mb} / {resources.attempt}))"
        " {params.options} > {log:q} 2>&1"


use rule infer as infer_with_probabilities with:
    output:
        map="results/runs/{run}/maps/{slide}.tif",
        probabilities="results/runs/{run}/probabilities/{slide}.tif",
    wildcard_constraints:
        run=names_of(
            DenseRun,
            keeps_probabilities=True,
            keeps_uncertainty=False,
            splits=False,
            bundles=False,
        ),


use rule infer as infer_with_uncertainty with:
    output:
        map="results/runs/{run}/maps/{slide}.tif",
        probabilities="results/runs/{run}/probabilities/{slide}.tif",
        uncertainty="results/runs/{run}/uncertainty/{slide}.tif",
    wildcard_constraints:
        run=names_of(DenseRun, keeps_uncertainty=True),


rule export:
    input:
        map="results/runs/{run}/maps/{slide}.tif",
    output:
        file="results/runs/{run}/exports/{slide}.{suffix}",
    log:
        "results/logs/export/{run}/{slide}.{suffix}.log",
    benchmark:
        "results/benchmarks/export/{run}/{slide}.{suffix}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, per_gb=600),
    params:
        code=running("export"),
        format=export_format,
    shell:
        "python -m hooknet export --input {input.map:q} --format {params.format:q} --output {output.file:q}"
        " > {log:q} 2>&1"
