"""Maps -> what is measured on them besides overlap.

hooknet measure-boundaries     results/runs/<run>/boundaries/<slide>.csv     (where the truth is dense)
hooknet measure-volume         results/runs/<run>/volumes/<volume>.csv       (where slides are slices)
hooknet measure-calibration    results/runs/<run>/calibration/<slide>.csv    (where probabilities are kept)
hooknet quantify               results/runs/<run>/quantities/<slide>.csv
hooknet overview               results/runs/<run>/overview.html              (of weights that an experiment names)
hooknet detect-objects         results/runs/<run>/objects/<slide>.geojson    (of classes that are objects)
hooknet match-objects          results/runs/<run>/matches/<slide>.csv
"""


rule measure_boundaries:
    input:
        truth=dense_truth,
        prediction="results/runs/{run}/maps/{slide}.tif",
    output:
        table="results/runs/{run}/boundaries/{slide}.csv",
    log:
        "results/logs/measure_boundaries/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/measure_boundaries/{run}/{slide}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30, per_gb=300),
    params:
        code=running("measure-boundaries"),
    shell:
        "python -m hooknet measure-boundaries --slide {wildcards.slide:q} --truth {input.truth:q}"
        " --prediction {input.prediction:q} --output {output.table:q} > {log:q} 2>&1"


rule measure_volume:
    input:
        truth=volume_truth,
        maps=volume_maps,
    output:
        table="results/runs/{run}/volumes/{volume}.csv",
    log:
        "results/logs/measure_volume/{run}/{volume}.log",
    benchmark:
        "results/benchmarks/measure_volume/{run}/{volume}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        code=running("measure-volume"),
        settings=volume_settings,
        dataset=run_dataset,
        slides=run_slides_folder,
        maps=run_maps_folder,
    shell:
        "python -m hooknet measure-volume --dataset {params.dataset:q} --volume {wildcards.volume:q}"
        " --slides-folder {params.slides:q} --maps-folder {params.maps:q} --output {output.table:q}"
        " > {log:q} 2>&1"


rule measure_calibration:
    input:
        truth=scored_truth,
        probabilities="results/runs/{run}/probabilities/{slide}.tif",
    output:
        table="results/runs/{run}/calibration/{slide}.csv",
    log:
        "results/logs/measure_calibration/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/measure_calibration/{run}/{slide}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30, per_gb=300),
    params:
        code=running("measure-calibration"),
    shell:
        "python -m hooknet measure-calibration --slide {wildcards.slide:q} --truth {input.truth:q}"
        " --probabilities {input.probabilities:q} --output {output.table:q} > {log:q} 2>&1"


rule quantify:
    input:
        map="results/runs/{run}/maps/{slide}.tif",
        tissue=slide_tissue,
    output:
        table="results/runs/{run}/quantities/{slide}.csv",
    log:
        "results/logs/quantify/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/quantify/{run}/{slide}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, per_gb=300),
    params:
        code=running("quantify"),
    shell:
        "python -m hooknet quantify --slide {wildcards.slide:q} --map {input.map:q} --tissue {input.tissue:q}"
        " --output {output.table:q} > {log:q} 2>&1"


rule overview:
    input:
        checkpoint=infer_checkpoint,
        splits=run_splits,
        slides=overview_slides,
        maps=overview_maps,
        members=infer_members,
        uncertainty=overview_uncertainty,
        quantities=overview_quantities,
    output:
        page="results/runs/{run}/overview.html",
    log:
        "results/logs/overview/{run}.log",
    benchmark:
        "results/benchmarks/overview/{run}.tsv"
    wildcard_constraints:
        run=names_of(DenseRun),
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30, per_gb=60),
    params:
        code=running("overview"),
        settings=overview_settings,
        folder="results/runs/{run}",
        slides=run_slides_folder,
    shell:
        "python -m hooknet overview --run {wildcards.run:q} --checkpoint {input.checkpoint:q}"
        " --splits {input.splits:q} --slides-folder {params.slides:q} --run-folder {params.folder:q}"
        " --output {output.page:q}"
        " > {log:q} 2>&1"


rule detect_objects:
    input:
        map="results/runs/{run}/maps/{slide}.tif",
        probabilities=kept_probabilities,
    output:
        objects="results/runs/{run}/objects/{slide}.geojson",
    log:
        "results/logs/detect_objects/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/detect_objects/{run}/{slide}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30, per_gb=600),
    params:
        code=running("detect-objects"),
        settings=object_settings,
        dataset=run_dataset,
        options=detect_options,
    shell:
        "python -m hooknet detect-objects --dataset {params.dataset:q} --slide {wildcards.slide:q}"
        " --map {input.map:q} {params.options} --output {output.objects:q} > {log:q} 2>&1"


rule match_objects:
    input:
        truth=scored_truth,
        objects="results/runs/{run}/objects/{slide}.geojson",
    output:
        table="results/runs/{run}/matches/{slide}.csv",
    log:
        "results/logs/match_objects/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/match_objects/{run}/{slide}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30, per_gb=600),
    params:
        code=running("match-objects"),
        settings=object_settings,
        dataset=run_dataset,
    shell:
        "python -m hooknet match-objects --dataset {params.dataset:q} --slide {wildcards.slide:q}"
        " --truth {input.truth:q} --objects {input.objects:q} --output {output.table:q} > {log:q} 2>&1"
