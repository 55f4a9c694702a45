"""Candidate spacings -> trials -> ranking -> rungs -> a decision, whose systems are trained like any experiment.

hooknet train-trial       results/search/<search>/trials/<trial>/rung<k>/{best.ckpt,metrics.csv,points.parquet,state/}
hooknet rank-views        results/search/<search>/ranking/*.csv, rungs/entering.json
hooknet promote-trials    results/search/<search>/rungs/{rung<k>.csv,after<k>.json}
hooknet decide-views      results/search/<search>/{decision.json,last_rung.csv}
"""


rule train_trial:
    input:
        splits=run_splits,
        slides=train_images,
        masks=train_masks,
        centres=train_centres,
        earlier=trial_earlier,
        encoder=encoder_files,
    output:
        best="results/search/{search}/trials/{run}/rung{rung}/best.ckpt",
        metrics="results/search/{search}/trials/{run}/rung{rung}/metrics.csv",
        points="results/search/{search}/trials/{run}/rung{rung}/points.parquet",
        kept=directory("results/search/{search}/trials/{run}/rung{rung}/state"),
    log:
        "results/logs/train_trial/{search}/{run}.rung{rung}.log",
    benchmark:
        "results/benchmarks/train_trial/{search}/{run}.rung{rung}.tsv"
    wildcard_constraints:
        run=TRIALS,
    conda:
        "../../envs/hooknet.yaml"
    threads: train_threads
    resources:
        **MACHINES,
        gpu=train_gpus,
        mem_mb=train_memory,
        runtime=trial_minutes,
    params:
        code=running("train-trial"),
        settings=train_settings,
        epochs=trial_epochs,
        folder=run_slides_folder,
        options=trial_options,
        # Lives only while a training does; not an output, since those are deleted when a job is killed.
        state="results/search/{search}/trials/{run}/working{rung}",
    shell:
        "{resources.launch}python -m hooknet train-trial --run {wildcards.run:q} --epochs {params.epochs:q}"
        " --slides-folder {params.folder:q} --splits {input.splits:q} --best {output.best:q}"
        " --metrics {output.metrics:q} --points {output.points:q} --kept {output.kept:q} --state {params.state:q}"
        " {params.options} > {log:q} 2>&1"


checkpoint rank_views:
    input:
        points=single_points,
    output:
        tables=directory("results/search/{search}/ranking"),
        trials="results/search/{search}/rungs/entering.json",
    log:
        "results/logs/rank_views/{search}.log",
    benchmark:
        "results/benchmarks/rank_views/{search}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        code=running("rank-views"),
        settings=search_settings,
    shell:
        "python -m hooknet rank-views --search {wildcards.search:q} --output {output.tables:q}"
        " --trials {output.trials:q} > {log:q} 2>&1"


checkpoint promote_trials:
    input:
        ranking=search_ranking,
        trials=rung_trials,
        points=rung_points,
    output:
        table="results/search/{search}/rungs/rung{rung}.csv",
        trials="results/search/{search}/rungs/after{rung}.json",
    log:
        "results/logs/promote_trials/{search}.rung{rung}.log",
    benchmark:
        "results/benchmarks/promote_trials/{search}.rung{rung}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        code=running("promote-trials"),
        settings=search_settings,
    shell:
        "python -m hooknet promote-trials --search {wildcards.search:q} --rung {wildcards.rung:q}"
        " --output {output.table:q} --trials {output.trials:q} > {log:q} 2>&1"


checkpoint decide_views:
    input:
        trials=last_trials,
        points=last_points,
    output:
        decision="results/search/{search}/decision.json",
        table="results/search/{search}/last_rung.csv",
    log:
        "results/logs/decide_views/{search}.log",
    benchmark:
        "results/benchmarks/decide_views/{search}.tsv"
    conda:
        "../../envs/hooknet.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        code=running("decide-views"),
        settings=search_settings,
    shell:
        "python -m hooknet decide-views --search {wildcards.search:q} --output {output.decision:q}"
        " --table {output.table:q} > {log:q} 2>&1"
