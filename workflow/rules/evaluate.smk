"""Maps -> counts -> tables -> report.

hooknet evaluate    results/runs/<run>/counts/<role>/<slide>.csv
hooknet compare     results/report/<dataset>/comparison/*.csv
hooknet report      results/report/<dataset>/report.html, tables/, figures/
"""


rule evaluate:
    input:
        truth=truth_mask,
        prediction="results/runs/{run}/maps/{slide}.tif",
    output:
        counts="results/runs/{run}/counts/{role}/{slide}.csv",
    log:
        "results/logs/evaluate/{run}/{slide}.{role}.log",
    benchmark:
        "results/benchmarks/evaluate/{run}/{slide}.{role}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        "python -m hooknet evaluate --slide {wildcards.slide:q} --truth {input.truth:q}"
        " --prediction {input.prediction:q} --output {output.counts:q} > {log:q} 2>&1"


rule compare:
    input:
        counts=dataset_counts,
        splits="results/slides/{dataset}/splits.tsv",
    output:
        tables=report(
            directory("results/report/{dataset}/comparison"),
            patterns=["{table}.csv"],
            caption="../report/comparison.rst",
            category="Scores",
            labels={"dataset": "{dataset}", "table": "{table}"},
        ),
    log:
        "results/logs/compare/{dataset}.log",
    benchmark:
        "results/benchmarks/compare/{dataset}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
    params:
        settings=report_settings,
    shell:
        "python -m hooknet compare --dataset {wildcards.dataset:q} --splits {input.splits:q}"
        " --runs-folder results/runs --output {output.tables:q} > {log:q} 2>&1"


rule report:
    input:
        counts=dataset_counts,
        results=dataset_results,
        comparison="results/report/{dataset}/comparison",
        splits="results/slides/{dataset}/splits.tsv",
    output:
        page=report(
            "results/report/{dataset}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"dataset": "{dataset}"},
        ),
        tables=directory("results/report/{dataset}/tables"),
        figures=directory("results/report/{dataset}/figures"),
    log:
        "results/logs/report/{dataset}.log",
    benchmark:
        "results/benchmarks/report/{dataset}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=report_settings,
        folder=report_folder,
    shell:
        "python -m hooknet report --dataset {wildcards.dataset:q} --splits {input.splits:q}"
        " --slides-folder results/slides/{wildcards.dataset:q} --runs-folder results/runs"
        " --output {params.folder:q} > {log:q} 2>&1"
