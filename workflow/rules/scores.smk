# Scores of all runs, what any predictor could reach, and agreement with labelled regions.


rule collect_scores:
    input:
        lambda wildcards: [
            f"{RESULTS}/{run.directory}/scores.tsv"
            for run in shown_runs(wildcards.dataset, wildcards.part.lstrip("_"))
        ],
    output:
        f"{RESULTS}/scores/{{dataset}}{{part}}.parquet",
    log:
        f"{LOGS}/collect_scores/{{dataset}}{{part}}.log",
    benchmark:
        f"{LOGS}/collect_scores/{{dataset}}{{part}}.tsv"
    wildcard_constraints:
        part=f"(_({one_of(EXPERIMENTS)}))?",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    message:
        "Collecting the scores of {wildcards.dataset}"
    script:
        "../../scripts/collect_scores.py"


rule estimate_limits:
    input:
        section=f"{RESULTS}/sections/{{dataset}}/{{section}}.h5ad",
        others=lambda wildcards: [
            section_file(wildcards.dataset, section)
            for section in sections_of(wildcards.dataset)
            if section != wildcards.section
        ],
        panel=panel_of_section,
        truth=lambda wildcards: (
            f"{raw_folder(wildcards.dataset)}/truth/{wildcards.section}.h5"
            if DATASETS[wildcards.dataset].kind == "simulation"
            else []
        ),
    output:
        f"{RESULTS}/limits/{{dataset}}/{{section}}.tsv",
    log:
        f"{LOGS}/estimate_limits/{{dataset}}/{{section}}.log",
    benchmark:
        f"{LOGS}/estimate_limits/{{dataset}}/{{section}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    message:
        "Estimating the best PCC that any predictor could reach on {wildcards.section}"
    script:
        "../../scripts/estimate_limits.py"


rule measure_regions:
    input:
        section=f"{RESULTS}/sections/{{dataset}}/{{section}}.h5ad",
        predictions=lambda wildcards: [
            f"{RESULTS}/{run.directory}/predictions.h5ad"
            for run in runs_of(wildcards.dataset)
            if run.variant == "full" and wildcards.section in run.fold.test
        ],
    output:
        f"{RESULTS}/regions/{{dataset}}/{{section}}.tsv",
    log:
        f"{LOGS}/measure_regions/{{dataset}}/{{section}}.log",
    benchmark:
        f"{LOGS}/measure_regions/{{dataset}}/{{section}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        runs=lambda wildcards: [
            run.key
            for run in runs_of(wildcards.dataset)
            if run.variant == "full" and wildcards.section in run.fold.test
        ],
    message:
        "Comparing predicted clusters of {wildcards.section} with its labelled regions"
    script:
        "../../scripts/measure_regions.py"
