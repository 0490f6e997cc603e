# What a study ends with: every figure and table, and the report that holds them.
report: "../report/workflow.rst"


rule comparison:
    input:
        comparison_files(),


rule ablation:
    input:
        experiment_files("ablation"),


rule sensitivity:
    input:
        experiment_files("sensitivity"),


rule figures_and_tables:
    input:
        rules.comparison.input,
        rules.ablation.input,
        rules.sensitivity.input,
        per_split("folds/{dataset}/{split}.tsv"),


# The target whose files each report holds.
REPORTS = {"report": "figures_and_tables", "comparison": "comparison"}


rule write_report:
    input:
        lambda wildcards: getattr(rules, REPORTS[wildcards.report]).input,
    output:
        f"{RESULTS}/{{report}}.html",
    log:
        f"{LOGS}/write_report/{{report}}.log",
    benchmark:
        f"{LOGS}/write_report/{{report}}.tsv"
    wildcard_constraints:
        report=one_of(REPORTS),
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        config=config,
        snakefile=workflow.main_snakefile,
        target=lambda wildcards: REPORTS[wildcards.report],
    message:
        "Writing the report"
    script:
        "../../scripts/write_report.py"
