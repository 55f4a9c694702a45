"""Weights and slides -> maps.

hooknet infer    results/runs/<run>/maps/<slide>.tif (and probabilities/<slide>.tif where wanted)
"""


rule infer:
    input:
        checkpoint=infer_checkpoint,
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
    threads: infer_threads
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    params:
        settings=infer_settings,
        options=infer_options,
    shell:
        "python -m hooknet infer --run {wildcards.run:q} --slide {wildcards.slide:q}"
        " --checkpoint {input.checkpoint:q} --output {output.map:q} --memory {resources.mem_mb}"
        " {params.options} > {log:q} 2>&1"
