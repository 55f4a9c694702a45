"""Small slides that share a job -> maps.

hooknet infer-bundle    results/runs/<run>/bundles/<number>/, removed once its maps are in place
hooknet unbundle        results/runs/<run>/maps/<slide>.tif, and probabilities/<slide>.tif where they are kept
"""


rule infer_bundle:
    input:
        checkpoint=infer_checkpoint,
        slides=bundle_images,
        tissue=bundle_tissue,
        masks=bundle_masks,
        labels=bundle_labels,
        encoder=encoder_code,
        members=infer_members,
    output:
        folder=temp(directory("results/runs/{run}/bundles/{bundle}")),
    log:
        "results/logs/infer_bundle/{run}/{bundle}.log",
    benchmark:
        "results/benchmarks/infer_bundle/{run}/{bundle}.tsv"
    wildcard_constraints:
        run=names_of(DenseRun, bundles=True),
        bundle=r"\d+",
    conda:
        "../../envs/hooknet.yaml"
    threads: infer_threads
    resources:
        gpu=1,
        mem_mb=infer_memory,
        runtime=infer_minutes,
        attempt=attempt_number,
    params:
        code=running("infer-bundle"),
        settings=bundle_settings,
        folder=run_slides_folder,
        options=bundle_options,
    shell:
        "python -m hooknet infer-bundle --run {wildcards.run:q} --slides-folder {params.folder:q}"
        " --checkpoint {input.checkpoint:q} --folder {output.folder:q}"
        " --memory $(({resources.mem_mb} / {resources.attempt})) {params.options} > {log:q} 2>&1"


# On the machine that snakemake runs on: it gives a file a second name, which is no job for a scheduler.
rule unbundle:
    input:
        folder=bundle_folder,
    output:
        map="results/runs/{run}/maps/{slide}.tif",
    log:
        "results/logs/unbundle/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/unbundle/{run}/{slide}.tsv"
    wildcard_constraints:
        run=names_of(DenseRun, keeps_probabilities=False, bundles=True),
    localrule: True
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(5),
    params:
        code=running("unbundle"),
        options=unbundle_options,
    shell:
        "python -m hooknet unbundle --slide {wildcards.slide:q} --folder {input.folder:q} --output {output.map:q}"
        " {params.options} > {log:q} 2>&1"


use rule unbundle as unbundle_with_probabilities with:
    output:
        map="results/runs/{run}/maps/{slide}.tif",
        probabilities="results/runs/{run}/probabilities/{slide}.tif",
    wildcard_constraints:
        run=names_of(DenseRun, keeps_probabilities=True, bundles=True),
