# Tables, each as TSV, Markdown, LaTeX and an HTML page for the report.


rule tabulate_comparison:
    input:
        scores=expand(f"{RESULTS}/scores/{{dataset}}.parquet", dataset=DATASETS),
        limits=[
            f"{RESULTS}/limits/{dataset}/{section}.tsv"
            for dataset in DATASETS
            for section in tested_sections(dataset)
        ],
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
        limits=[
            f"{RESULTS}/limits/{dataset}/{section}.tsv"
            for dataset in DATASETS
            for section in tested_sections(dataset)
        ],
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
        [f"{RESULTS}/{run.directory}/run.json" for run in RUNS],
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
            for section in labelled_sections(dataset)
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


rule tabulate_ablation:
    input:
        scores=expand(f"{RESULTS}/scores/{{dataset}}.parquet", dataset=DATASETS),
        published=f"{PUBLISHED}/ablation.tsv",
    output:
        tsv=f"{RESULTS}/tables/ablation.tsv",
        markdown=f"{RESULTS}/tables/ablation.md",
        latex=f"{RESULTS}/tables/ablation.tex",
        html=report(
            f"{RESULTS}/tables/ablation.html",
            caption="../report/ablation.rst",
            category="Tables",
            labels={"table": "ablation"},
        ),
    log:
        f"{LOGS}/tabulate_ablation.log",
    benchmark:
        f"{LOGS}/tabulate_ablation.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        ablation=config.get("ablation"),
    message:
        "Tabulating the ablation"
    script:
        "../../scripts/tabulate_ablation.py"


rule tabulate_sensitivity:
    input:
        scores=expand(f"{RESULTS}/scores/{{dataset}}.parquet", dataset=DATASETS),
        published=f"{PUBLISHED}/sensitivity.tsv",
    output:
        tsv=f"{RESULTS}/tables/sensitivity.tsv",
        markdown=f"{RESULTS}/tables/sensitivity.md",
        latex=f"{RESULTS}/tables/sensitivity.tex",
        html=report(
            f"{RESULTS}/tables/sensitivity.html",
            caption="../report/sensitivity.rst",
            category="Tables",
            labels={"table": "sensitivity to settings"},
        ),
    log:
        f"{LOGS}/tabulate_sensitivity.log",
    benchmark:
        f"{LOGS}/tabulate_sensitivity.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        caption=CAPTION,
        sensitivity=config.get("sensitivity"),
    message:
        "Tabulating the sensitivity to settings"
    script:
        "../../scripts/tabulate_sensitivity.py"
