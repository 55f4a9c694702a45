"""Slides and annotations -> label masks, tissue masks, patch centres, splits.

hooknet check-slide        slide.json
hooknet read-annotations   {role}.geojson      (labels: the annotation, truth: the truth, where they are shapes)
hooknet rasterise          {role}.tif, {role}.json
hooknet detect-tissue      tissue.tif
hooknet index-centres      centres_<size>px_<spacing>um.parquet
hooknet make-splits        splits.tsv
"""


# Its record is an input of all that reads the slide, and holds nothing that another experiment changes.  (As `ancient`
# inputs records had Snakemake (9.27.1) overlook all other reasons to run again, on the day that the check ran again.)
rule check_slide:
    input:
        slide=slide_file,
    output:
        record="results/slides/{dataset}/{slide}/slide.json",
    log:
        "results/logs/check_slide/{dataset}/{slide}.log",
    benchmark:
        "results/benchmarks/check_slide/{dataset}/{slide}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=running("check-slide"),
        settings=slide_settings,
    shell:
        "python -m hooknet check-slide --dataset {wildcards.dataset:q} --slide {wildcards.slide:q}"
        " --output {output.record:q} > {log:q} 2>&1"


rule read_annotations:
    input:
        record="results/slides/{dataset}/{slide}/slide.json",
        slide=slide_file,
        annotation=annotation_file,
    output:
        geojson="results/slides/{dataset}/{slide}/{role}.geojson",
    log:
        "results/logs/read_annotations/{dataset}/{slide}.{role}.log",
    benchmark:
        "results/benchmarks/read_annotations/{dataset}/{slide}.{role}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        code=running("read-annotations"),
        settings=annotation_settings,
    shell:
        "python -m hooknet read-annotations --dataset {wildcards.dataset:q} --slide {wildcards.slide:q}"
        " --annotation {input.annotation:q} --output {output.geojson:q} > {log:q} 2>&1"


rule rasterise:
    input:
        record="results/slides/{dataset}/{slide}/slide.json",
        slide=slide_file,
        source=raster_source,
    output:
        mask="results/slides/{dataset}/{slide}/{role}.tif",
        counts="results/slides/{dataset}/{slide}/{role}.json",
    log:
        "results/logs/rasterise/{dataset}/{slide}.{role}.log",
    benchmark:
        "results/benchmarks/rasterise/{dataset}/{slide}.{role}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, per_gb=20),
    params:
        code=running("rasterise"),
        settings=rasterise_settings,
    shell:
        "python -m hooknet rasterise --dataset {wildcards.dataset:q} --slide {wildcards.slide:q}"
        " --source {input.source:q} --output {output.mask:q} --counts {output.counts:q} > {log:q} 2>&1"


rule detect_tissue:
    input:
        record="results/slides/{dataset}/{slide}/slide.json",
        slide=slide_file,
    output:
        mask="results/slides/{dataset}/{slide}/tissue.tif",
    log:
        "results/logs/detect_tissue/{dataset}/{slide}.log",
    benchmark:
        "results/benchmarks/detect_tissue/{dataset}/{slide}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10, per_gb=20),
    params:
        code=running("detect-tissue"),
        settings=tissue_settings,
    shell:
        "python -m hooknet detect-tissue --dataset {wildcards.dataset:q} --slide {wildcards.slide:q}"
        " --output {output.mask:q} > {log:q} 2>&1"


rule index_centres:
    input:
        mask="results/slides/{dataset}/{slide}/labels.tif",
    output:
        centres="results/slides/{dataset}/{slide}/centres_{size}px_{spacing}um.parquet",
    log:
        "results/logs/index_centres/{dataset}/{slide}.{size}px_{spacing}um.log",
    benchmark:
        "results/benchmarks/index_centres/{dataset}/{slide}.{size}px_{spacing}um.tsv"
    wildcard_constraints:
        size=r"\d+",
        spacing=r"[0-9.e+-]+",
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, per_gb=300),
    params:
        code=running("index-centres"),
        settings=centre_settings,
    shell:
        "python -m hooknet index-centres --dataset {wildcards.dataset:q} --slide {wildcards.slide:q}"
        " --labels {input.mask:q} --spacing {wildcards.spacing:q} --size {wildcards.size:q}"
        " --output {output.centres:q} > {log:q} 2>&1"


checkpoint make_splits:
    input:
        counts=all_counts,
    output:
        sheet="results/slides/{dataset}/splits.tsv",
    log:
        "results/logs/make_splits/{dataset}.log",
    benchmark:
        "results/benchmarks/make_splits/{dataset}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=running("make-splits"),
        settings=split_settings,
        folder=splits_folder,
    shell:
        "python -m hooknet make-splits --dataset {wildcards.dataset:q} --slides-folder {params.folder:q}"
        " --output {output.sheet:q} > {log:q} 2>&1"
