# Scores of all runs, limits of the PCC, sets of genes, and agreement with labelled regions.


rule collect_scores:
    input:
        score_files,
    output:
        LAYOUT.scores(),
    log:
        LAYOUT.log("collect_scores", "{dataset}{part}"),
    benchmark:
        LAYOUT.benchmark("collect_scores", "{dataset}{part}")
    wildcard_constraints:
        part=f"(_({one_of(STUDY.experiments)}))?",
    conda:
        "../../envs/report.yaml"
    message:
        "Collecting the scores of {wildcards.dataset}"
    script:
        "../../scripts/evaluation/collect_scores.py"


rule estimate_limits:
    input:
        section=LAYOUT.section(),
        others=lambda wildcards: [
            LAYOUT.section(wildcards.dataset, section)
            for section in STUDY.sections_of(wildcards.dataset)
            if section != wildcards.section
        ],
        panel=panel_of_section,
        truth=truth_of_section,
    output:
        LAYOUT.limits(),
    log:
        LAYOUT.log("estimate_limits", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("estimate_limits", "{dataset}", "{section}")
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(2000, per_mb=10),
    params:
        target=lambda wildcards: STUDY.datasets[wildcards.dataset].config.target,
    message:
        "Estimating limits of the PCC on {wildcards.section}"
    script:
        "../../scripts/evaluation/estimate_limits.py"


rule choose_gene_set:
    input:
        unpack(gene_set_files),
    output:
        LAYOUT.gene_set(),
    log:
        LAYOUT.log("choose_gene_set", "{dataset}", "{gene_set}"),
    benchmark:
        LAYOUT.benchmark("choose_gene_set", "{dataset}", "{gene_set}")
    wildcard_constraints:
        gene_set="[^/]+",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=growing(2000, per_mb=10),
    params:
        how=lambda wildcards: gene_set_of(wildcards).model_dump(),
    message:
        "Choosing the genes of set {wildcards.gene_set} of {wildcards.dataset}"
    script:
        "../../scripts/evaluation/choose_gene_set.py"


rule measure_regions:
    input:
        section=LAYOUT.section(),
        labels=LAYOUT.labels(),
        predictions=predictions_of_section,
    output:
        LAYOUT.agreement(),
    log:
        LAYOUT.log("measure_regions", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("measure_regions", "{dataset}", "{section}")
    conda:
        "../../envs/report.yaml"
    message:
        "Comparing predicted clusters of {wildcards.section} with its labelled regions"
    script:
        "../../scripts/evaluation/measure_regions.py"
