# Scores of all runs, tables, figures and the report.


def runs_of(dataset):
    return [run for run in RUNS if run.dataset == dataset]


rule collect_scores:
    input:
        lambda wildcards: [
            f"{RESULTS}/{run.directory}/scores.tsv" for run in runs_of(wildcards.dataset)
        ],
    output:
        f"{RESULTS}/scores/{{dataset}}.parquet",
    log:
        f"{LOGS}/collect_scores/{{dataset}}.log",
    benchmark:
        f"{LOGS}/collect_scores/{{dataset}}.tsv"
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


def panel_of_section(wildcards):
    """The panel of the fold that tests a section, for the study's first split."""
    for run in runs_of(wildcards.dataset):
        if wildcards.section in run.fold.test:
            return panel_file(run.dataset, run.split, run.fold.name)
    return []


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


def tested_sections(dataset):
    """Sections that some run tests, in the order of the sheet."""
    tested = {section for run in runs_of(dataset) for section in run.fold.test}
    return [section for section in sections_of(dataset) if section in tested]


rule tabulate_comparison:
    input:
        scores=expand(f"{RESULTS}/scores/{{dataset}}.parquet", dataset=DATASETS),
        limits=[
            f"{RESULTS}/limits/{dataset}/{section}.tsv"
            for dataset in DATASETS
            for section in tested_sections(dataset)
        ],
        published="resources/published/results.tsv",
    output:
        tsv=f"{RESULTS}/tables/comparison.tsv",
        latex=f"{RESULTS}/tables/comparison.tex",
        markdown=report(
            f"{RESULTS}/tables/comparison.md",
            caption="../report/comparison.rst",
            category="Tables",
            labels={"table": "comparison of the methods"},
        ),
    params:
        caption=CAPTION,
    log:
        f"{LOGS}/tabulate_comparison.log",
    benchmark:
        f"{LOGS}/tabulate_comparison.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    message:
        "Tabulating the comparison"
    script:
        "../../scripts/tabulate_comparison.py"


rule draw_section_boxes:
    input:
        f"{RESULTS}/scores/{{dataset}}.parquet",
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/section_boxes/{{split}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/section_boxes/{{split}}.png",
            caption="../report/section_boxes.rst",
            category="{dataset}",
            subcategory="PCC by section",
            labels={"figure": "PCC by section", "split": "{split}"},
        ),
    params:
        caption=CAPTION,
    log:
        f"{LOGS}/draw_section_boxes/{{dataset}}/{{split}}.log",
    benchmark:
        f"{LOGS}/draw_section_boxes/{{dataset}}/{{split}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    message:
        "Drawing PCC by section of {wildcards.dataset}, {wildcards.split}"
    script:
        "../../scripts/draw_section_boxes.py"


def runs_testing(wildcards):
    """Full-variant runs, with the first seed, that test a section in a split."""
    return [
        run
        for run in runs_of(wildcards.dataset)
        if run.split == wildcards.split
        and run.variant == "full"
        and run.seed == config["seeds"][0]
        and wildcards.section in run.fold.test
    ]


rule draw_gene_maps:
    input:
        section=f"{RESULTS}/sections/{{dataset}}/{{section}}.h5ad",
        scores=f"{RESULTS}/scores/{{dataset}}.parquet",
        predictions=lambda wildcards: [
            f"{RESULTS}/{run.directory}/predictions.h5ad" for run in runs_testing(wildcards)
        ],
    output:
        pdf=f"{RESULTS}/figures/{{dataset}}/gene_maps/{{split}}/{{section}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{dataset}}/gene_maps/{{split}}/{{section}}.png",
            caption="../report/gene_maps.rst",
            category="{dataset}",
            subcategory="Maps of genes",
            labels={"figure": "maps of genes", "split": "{split}", "section": "{section}"},
        ),
    params:
        caption=CAPTION,
        runs=lambda wildcards: [
            [run.method, run.variant, run.preset] for run in runs_testing(wildcards)
        ],
        genes=config["figures"]["genes"],
        best_genes=config["figures"]["best_genes"],
    log:
        f"{LOGS}/draw_gene_maps/{{dataset}}/{{split}}/{{section}}.log",
    benchmark:
        f"{LOGS}/draw_gene_maps/{{dataset}}/{{split}}/{{section}}.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    message:
        "Mapping genes on {wildcards.section}, {wildcards.split}"
    script:
        "../../scripts/draw_gene_maps.py"


rule figures_and_tables:
    input:
        f"{RESULTS}/tables/comparison.md",
        [
            f"{RESULTS}/folds/{dataset}/{split}.tsv"
            for dataset in DATASETS
            for split in config["splits"]
        ],
        [
            f"{RESULTS}/figures/{dataset}/section_boxes/{split}.png"
            for dataset in DATASETS
            for split in config["splits"]
        ],
        [
            f"{RESULTS}/figures/{dataset}/gene_maps/{config['splits'][0]}/{section}.png"
            for dataset in DATASETS
            for section in tested_sections(dataset)
        ],
        [
            f"{RESULTS}/figures/{dataset}/spots/{section}.png"
            for dataset in DATASETS
            for section in sections_of(dataset)
        ],


rule write_report:
    input:
        rules.figures_and_tables.input,
    output:
        f"{RESULTS}/report.html",
    params:
        config=config,
        snakefile=workflow.main_snakefile,
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
    message:
        "Writing the report"
    script:
        "../../scripts/write_report.py"


def show_summary():
    """What a finished run tells: its table, and where the report is."""
    table, report = Path(RESULTS, "tables/comparison.md"), Path(RESULTS, "report.html")
    if table.is_file() and report.is_file():
        print(table.read_text(), f"Report: {report}", sep="\n")
