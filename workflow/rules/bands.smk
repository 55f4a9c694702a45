"""Slides that are too large for one job -> maps, in bands of rows.

hooknet infer --band 2of5    results/runs/<run>/bands/<slide>/2of5.tif, removed once joined
hooknet join-bands           results/runs/<run>/maps/<slide>.tif
"""


use rule infer as infer_band with:
    output:
        map=temp("results/runs/{run}/bands/{slide}/{band}.tif"),
    log:
        "results/logs/infer_band/{run}/{slide}_{band}.log",
    benchmark:
        "results/benchmarks/infer_band/{run}/{slide}_{band}.tsv"
    wildcard_constraints:
        run=names_of(DenseRun, keeps_probabilities=False, splits=True),
        band=r"\d+of\d+",
    params:
        options=band_options,


use rule infer_band as infer_band_with_probabilities with:
    output:
        map=temp("results/runs/{run}/bands/{slide}/{band}.tif"),
        probabilities=temp("results/runs/{run}/bands/{slide}/probabilities/{band}.tif"),
    wildcard_constraints:
        run=names_of(DenseRun, keeps_probabilities=True, splits=True),
        band=r"\d+of\d+",


rule join_bands:
    input:
        bands=map_bands,
    output:
        map="results/runs/{run}/maps/{slide}.tif",
    log:
        "results/logs/join_bands/{run}/{slide}.log",
    benchmark:
        "results/benchmarks/join_bands/{run}/{slide}.tsv"
    wildcard_constraints:
        run=names_of(DenseRun, keeps_probabilities=False, splits=True),
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, per_gb=60),
    params:
        code=running("join-bands"),
        options=join_options,
    shell:
        "python -m hooknet join-bands --slide {wildcards.slide:q} --output {output.map:q} {params.options}"
        " > {log:q} 2>&1"


use rule join_bands as join_bands_with_probabilities with:
    input:
        bands=map_bands,
        shares=probability_bands,
    output:
        map="results/runs/{run}/maps/{slide}.tif",
        probabilities="results/runs/{run}/probabilities/{slide}.tif",
    wildcard_constraints:
        run=names_of(DenseRun, keeps_probabilities=True, splits=True),
