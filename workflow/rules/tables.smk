# Tables, each as TSV, Markdown, LaTeX and an HTML page for the report.


rule tabulate_comparison:
    input:
        scores=expand(f"{RESULTS}/scores/{{dataset}}.parquet", dataset=DATASETS),
        limits=limits_files(),
        published=f"{PUBLISHED}/results.tsv",
    output:
        tsv=f"{RESULTS}/tables/comparison.tsv",
        text=f"{RESULTS}/tables/comparison.txt",
        markdown=f"{RESULTS}/tables/comparison.md",
        latex=f"{RESULTS}/tables/comparison.tex",
        html=report(
            f"{RESULTS}/tables/comparison.html",
            caption="../report/comparison.rst",
            category="Tables",
            labels={"table": "comparison of the methods"},
        ),
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
    params:
        caption=CAPTION,
    message:
        "Tabulating the comparison of the methods"
    script:
        "../../scripts/tabulate_comparison.py"


rule tabulate_sections:
    input:
        scores=expand(f"{RESULTS}/scores/{{dataset}}.parquet", dataset=DATASETS),
        limits=limits_files(),
    output:
        tsv=f"{RESULTS}/tables/sections.tsv",
        markdown=f"{RESULTS}/tables/sections.md",
        latex=f"{RESULTS}/tables/sections.tex",
        html=report(
            f"{RESULTS}/tables/sections.html",
            caption="../report/per_section.rst",
            category="Tables",
            labels={"table": "PCC by section"},
        ),
    log:
        f"{LOGS}/tabulate_sections.log",
    benchmark:
        f"{LOGS}/tabulate_sections.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
    message:
        "Tabulating PCC by section"
    script:
        "../../scripts/tabulate_sections.py"


rule tabulate_genes:
    input:
        scores=expand(f"{RESULTS}/scores/{{dataset}}.parquet", dataset=DATASETS),
        limits=limits_files(),
    output:
        tsv=f"{RESULTS}/tables/genes.tsv",
        markdown=f"{RESULTS}/tables/genes.md",
        latex=f"{RESULTS}/tables/genes.tex",
        html=report(
            f"{RESULTS}/tables/genes.html",
            caption="../report/per_gene.rst",
            category="Tables",
            labels={"table": "best and worst genes"},
        ),
    log:
        f"{LOGS}/tabulate_genes.log",
    benchmark:
        f"{LOGS}/tabulate_genes.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        ranked_by=config["reference"],
    message:
        "Tabulating the best and worst predicted genes"
    script:
        "../../scripts/tabulate_genes.py"


rule tabulate_significance:
    input:
        scores=expand(f"{RESULTS}/scores/{{dataset}}.parquet", dataset=DATASETS),
    output:
        tsv=f"{RESULTS}/tables/significance.tsv",
        markdown=f"{RESULTS}/tables/significance.md",
        latex=f"{RESULTS}/tables/significance.tex",
        html=report(
            f"{RESULTS}/tables/significance.html",
            caption="../report/significance.rst",
            category="Tables",
            labels={"table": "differences between methods"},
        ),
    log:
        f"{LOGS}/tabulate_significance.log",
    benchmark:
        f"{LOGS}/tabulate_significance.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        reference=config["reference"],
    message:
        "Testing the differences between methods"
    script:
        "../../scripts/tabulate_significance.py"


rule tabulate_cost:
    input:
        [
            f"{RESULTS}/{run.directory}/run.json"
            for dataset in DATASETS
            for run in shown_runs(dataset)
        ],
    output:
        tsv=f"{RESULTS}/tables/cost.tsv",
        markdown=f"{RESULTS}/tables/cost.md",
        latex=f"{RESULTS}/tables/cost.tex",
        html=report(
            f"{RESULTS}/tables/cost.html",
            caption="../report/cost.rst",
            category="Tables",
            labels={"table": "cost"},
        ),
    log:
        f"{LOGS}/tabulate_cost.log",
    benchmark:
        f"{LOGS}/tabulate_cost.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
    message:
        "Tabulating what the runs cost"
    script:
        "../../scripts/tabulate_cost.py"


rule tabulate_regions:
    input:
        agreement=[
            f"{RESULTS}/regions/{dataset}/{section}.tsv"
            for dataset in DATASETS
            for section in labelled(dataset, tested_sections(dataset))
        ],
    output:
        tsv=f"{RESULTS}/tables/regions.tsv",
        markdown=f"{RESULTS}/tables/regions.md",
        latex=f"{RESULTS}/tables/regions.tex",
        html=report(
            f"{RESULTS}/tables/regions.html",
            caption="../report/regions.rst",
            category="Tables",
            labels={"table": "agreement with labelled regions"},
        ),
    log:
        f"{LOGS}/tabulate_regions.log",
    benchmark:
        f"{LOGS}/tabulate_regions.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
    message:
        "Tabulating the agreement with the pathologist's regions"
    script:
        "../../scripts/tabulate_regions.py"


rule tabulate_experiment:
    input:
        scores=expand(
            f"{RESULTS}/scores/{{dataset}}_{{experiment}}.parquet",
            dataset=DATASETS,
            allow_missing=True,
        ),
        limits=limits_files(),
        published=f"{PUBLISHED}/{{experiment}}.tsv",
    output:
        tsv=f"{RESULTS}/tables/{{experiment}}.tsv",
        markdown=f"{RESULTS}/tables/{{experiment}}.md",
        latex=f"{RESULTS}/tables/{{experiment}}.tex",
        html=report(
            f"{RESULTS}/tables/{{experiment}}.html",
            caption="../report/experiment_table.rst",
            category="Tables",
            labels={"table": "{experiment}"},
        ),
    log:
        f"{LOGS}/tabulate_experiment/{{experiment}}.log",
    benchmark:
        f"{LOGS}/tabulate_experiment/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=one_of(EXPERIMENTS),
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        points=points_of,
    message:
        "Tabulating the {wildcards.experiment}"
    script:
        "../../scripts/tabulate_experiment.py"
