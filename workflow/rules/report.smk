# What a study ends with: every figure and table, and the report that holds them.


def per_split(pattern):
    """A file of each dataset and split."""
    return expand(
        f"{RESULTS}/{pattern}", dataset=DATASETS, split=config["splits"], allow_missing=True
    )


def comparison_files():
    """Tables and figures that compare the methods as they are configured."""
    tables = ["comparison", "sections", "genes", "significance", "cost"]
    if any(labelled_sections(dataset) for dataset in DATASETS):
        tables.append("regions")
    figures = ["section_boxes", "wilcoxon", "expression_level", "training"]
    files = [f"{RESULTS}/tables/{table}.html" for table in tables]
    for figure in figures:
        files += per_split(f"figures/{{dataset}}/{figure}/{{split}}.png")
    if len(config["splits"]) == 2:
        files += expand(f"{RESULTS}/figures/{{dataset}}/leakage.png", dataset=DATASETS)
    for dataset in DATASETS:
        for section in tested_sections(dataset):
            files.append(
                f"{RESULTS}/figures/{dataset}/gene_maps/{config['splits'][0]}/{section}.png"
            )
        for section in sections_of(dataset):
            files.append(f"{RESULTS}/figures/{dataset}/spots/{section}.png")
    return files


def experiment_files(experiment):
    """Table and figures of an experiment, if the config asks for it."""
    if experiment not in config:
        return []
    return [
        f"{RESULTS}/tables/{experiment}.html",
        *per_split(f"figures/{{dataset}}/{experiment}/{{split}}.png"),
    ]


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


rule write_report:
    input:
        rules.figures_and_tables.input,
    output:
        f"{RESULTS}/report.html",
    log:
        f"{LOGS}/write_report.log",
    benchmark:
        f"{LOGS}/write_report.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        config=config,
        snakefile=workflow.main_snakefile,
    message:
        "Writing the report"
    script:
        "../../scripts/write_report.py"


def show_summary():
    """What a finished run tells: its table, and where the report is."""
    table, report = Path(RESULTS, "tables/comparison.txt"), Path(RESULTS, "report.html")
    if table.is_file() and report.is_file():
        print(table.read_text(), f"Report: {report}", sep="\n")
