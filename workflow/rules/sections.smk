# Sections, panels, folds and graphs.


rule read_section:
    input:
        image=lambda wildcards: raw_file(wildcards.dataset, wildcards.section, "image"),
        counts=lambda wildcards: raw_file(wildcards.dataset, wildcards.section, "counts"),
        spots=lambda wildcards: raw_file(wildcards.dataset, wildcards.section, "spots"),
        labels=lambda wildcards: raw_file(wildcards.dataset, wildcards.section, "labels"),
    output:
        f"{RESULTS}/sections/{{dataset}}/{{section}}.h5ad",
    log:
        f"{LOGS}/read_section/{{dataset}}/{{section}}.log",
    benchmark:
        f"{LOGS}/read_section/{{dataset}}/{{section}}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500, per_mb=40),
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        patient=lambda wildcards: DATASETS[wildcards.dataset].sheet.at[wildcards.section, "patient"],
        um_per_px=lambda wildcards: str(
            DATASETS[wildcards.dataset].sheet.at[wildcards.section, "um_per_px"]
        ),
    message:
        "Reading section {wildcards.section} of {wildcards.dataset}"
    script:
        "../../scripts/read_section.py"


rule assign_folds:
    output:
        f"{RESULTS}/folds/{{dataset}}/{{split}}.tsv",
    log:
        f"{LOGS}/assign_folds/{{dataset}}/{{split}}.log",
    benchmark:
        f"{LOGS}/assign_folds/{{dataset}}/{{split}}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        patients=lambda wildcards: DATASETS[wildcards.dataset].sheet["patient"].to_dict(),
        held_out=lambda wildcards: DATASETS[wildcards.dataset].held_out(wildcards.split),
    message:
        "Assigning the folds of {wildcards.dataset}, {wildcards.split}"
    script:
        "../../scripts/assign_folds.py"


rule freeze_panel:
    input:
        lambda wildcards: DATASETS[wildcards.dataset].config["panel"]["file"],
    output:
        panel=f"{RESULTS}/panels/{{dataset}}/paper.txt",
        provenance=f"{RESULTS}/panels/{{dataset}}/paper.json",
    log:
        f"{LOGS}/freeze_panel/{{dataset}}.log",
    benchmark:
        f"{LOGS}/freeze_panel/{{dataset}}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Taking the frozen panel of {wildcards.dataset}"
    script:
        "../../scripts/freeze_panel.py"


rule select_panel:
    input:
        lambda wildcards: [
            section_file(wildcards.dataset, section)
            for section in FOLD_OF[wildcards.dataset, wildcards.split, wildcards.fold].train
        ],
    output:
        panel=f"{RESULTS}/panels/{{dataset}}/train_only/{{split}}/fold-{{fold}}.txt",
        provenance=f"{RESULTS}/panels/{{dataset}}/train_only/{{split}}/fold-{{fold}}.json",
    log:
        f"{LOGS}/select_panel/{{dataset}}/{{split}}/fold-{{fold}}.log",
    benchmark:
        f"{LOGS}/select_panel/{{dataset}}/{{split}}/fold-{{fold}}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000, per_mb=10),
        runtime=growing(15, per_mb=0.1),
    params:
        recipe=lambda wildcards: DATASETS[wildcards.dataset].config["panel"]["recipe"],
    message:
        "Selecting genes on the training sections of {wildcards.dataset}, fold {wildcards.fold}"
    script:
        "../../scripts/select_panel.py"


rule build_graph:
    input:
        f"{RESULTS}/sections/{{dataset}}/{{section}}.h5ad",
    output:
        f"{RESULTS}/graphs/{{graph}}/{{dataset}}/{{section}}.npz",
    log:
        f"{LOGS}/build_graph/{{graph}}/{{dataset}}/{{section}}.log",
    benchmark:
        f"{LOGS}/build_graph/{{graph}}/{{dataset}}/{{section}}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        neighbours=lambda wildcards: config["graphs"][wildcards.graph]["neighbours"],
        within=lambda wildcards: config["graphs"][wildcards.graph].get("within"),
    message:
        "Building the graph {wildcards.graph} of {wildcards.section}"
    script:
        "../../scripts/build_graph.py"
