"""Settings -> generated slides, with sparse annotations and dense truth.

hooknet make-demo-slide    the three files of a slide of a dataset with a `phantom` section
"""


rule make_demo_slide:
    output:
        image="results/demo/slides/{slide}.tif",
        annotation="results/demo/annotations/{slide}.xml",
        truth="results/demo/truth/{slide}.tif",
    log:
        "results/logs/make_demo_slide/{slide}.log",
    benchmark:
        "results/benchmarks/make_demo_slide/{slide}.tsv"
    wildcard_constraints:
        slide=PHANTOM_IDS,
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=running("make-demo-slide"),
        dataset=phantom_dataset,
        settings=phantom_settings,
    shell:
        "python -m hooknet make-demo-slide --dataset {params.dataset:q} --slide {wildcards.slide:q}"
        " --image {output.image:q} --annotation {output.annotation:q} --truth {output.truth:q} > {log:q} 2>&1"
