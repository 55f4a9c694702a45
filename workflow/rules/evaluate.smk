"""Maps -> counts -> tables -> report.

hooknet evaluate    results/runs/<run>/{counts,windows}/<role>/<slide>.csv
hooknet compare     results/report/<dataset>/comparison/*.csv
hooknet report      results/report/<dataset>/index.html, summary.json, tables/, figures/
hooknet verdict     results/report/<dataset>/verdict{,_of_predictions}.txt    (with on_error: skip; fails where a slide was
                    skipped)
"""


rule evaluate:
    input:
        truth=truth_mask,
        prediction="results/runs/{run}/maps/{slide}.tif",
    output:
        counts="results/runs/{run}/counts/{role}/{slide}.csv",
        windows="results/runs/{run}/windows/{role}/{slide}.csv",
    log:
        "results/logs/evaluate/{run}/{slide}.{role}.log",
    benchmark:
        "results/benchmarks/evaluate/{run}/{slide}.{role}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, per_gb=60),
    params:
        code=running("evaluate"),
    shell:
        "python -m hooknet evaluate --slide {wildcards.slide:q} --truth {input.truth:q}"
        " --prediction {input.prediction:q} --output {output.counts:q} --windows {output.windows:q}"
        " > {log:q} 2>&1"


rule compare:
    input:
        counts=dataset_counts,
        splits="results/slides/{dataset}/splits.tsv",
    output:
        tables=directory("results/report/{dataset}/comparison"),
    log:
        "results/logs/compare/{dataset}.log",
    benchmark:
        "results/benchmarks/compare/{dataset}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        code=running("compare"),
        settings=report_settings,
    shell:
        "python -m hooknet compare --dataset {wildcards.dataset:q} --splits {input.splits:q}"
        " --runs-folder results/runs --output {output.tables:q} > {log:q} 2>&1"


rule report:
    input:
        counts=dataset_counts,
        windows=dataset_windows,
        results=dataset_results,
        measures=dataset_measures,
        cards=dataset_cards,
        comparison="results/report/{dataset}/comparison",
        splits="results/slides/{dataset}/splits.tsv",
    output:
        page=report(
            "results/report/{dataset}/index.html",
            caption="../report/report.rst",
            category="Report",
            labels={"dataset": "{dataset}"},
        ),
        summary="results/report/{dataset}/summary.json",
        tables=report(
            directory("results/report/{dataset}/tables"),
            patterns=["{table}.csv"],
            caption="../report/comparison.rst",
            category="Scores",
            labels={"dataset": "{dataset}", "table": "{table}"},
        ),
        figures=directory("results/report/{dataset}/figures"),
    log:
        "results/logs/report/{dataset}.log",
    benchmark:
        "results/benchmarks/report/{dataset}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30, per_gb=60),
    params:
        code=running("report"),
        settings=report_settings,
        folder=report_folder,
        options=report_options,
    shell:
        "python -m hooknet report --dataset {wildcards.dataset:q} --splits {input.splits:q}"
        " --slides-folder results/slides/{wildcards.dataset:q} --runs-folder results/runs"
        " --output {params.folder:q} {params.options} > {log:q} 2>&1"


rule verdict:
    input:
        results=verdict_results,
        splits="results/slides/{dataset}/splits.tsv",
    output:
        text="results/report/{dataset}/verdict.txt",
    log:
        "results/logs/verdict/{dataset}.log",
    benchmark:
        "results/benchmarks/verdict/{dataset}.tsv"
    localrule: True
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        code=running("verdict"),
        settings=report_settings,
    shell:
        "python -m hooknet verdict --dataset {wildcards.dataset:q} --output {output.text:q} > {log:q} 2>&1"


use rule verdict as verdict_of_predictions with:
    input:
        results=predicted_results,
        splits="results/slides/{dataset}/splits.tsv",
    output:
        text="results/report/{dataset}/verdict_of_predictions.txt",
    log:
        "results/logs/verdict_of_predictions/{dataset}.log",
    benchmark:
        "results/benchmarks/verdict_of_predictions/{dataset}.tsv"
