# From raw files to sections, folds and gene panels. Raw files are simulated, downloaded one by one,
# or extracted from archives, unless the dataset has a `root`.


rule simulate_section:
    output:
        image=LAYOUT.simulated("image"),
        counts=LAYOUT.simulated("counts"),
        spots=LAYOUT.simulated("spots"),
        labels=LAYOUT.simulated("labels"),
        truth=LAYOUT.simulated("truth"),
    log:
        LAYOUT.log("simulate_section", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("simulate_section", "{dataset}", "{section}")
    wildcard_constraints:
        dataset=f"{of_kind('simulation')}|{SIMULATED_SLIDES}",
    conda:
        "../../envs/data.yaml"
    params:
        simulation=simulation_of,
    message:
        "Simulating section {wildcards.section} of {wildcards.dataset}"
    script:
        "../../scripts/sections/simulate_section.py"


rule download_file:
    output:
        f"{LAYOUT.raw_folder()}/{{file}}",
    log:
        LAYOUT.log("download_file", "{dataset}", "{file}"),
    benchmark:
        LAYOUT.benchmark("download_file", "{dataset}", "{file}")
    wildcard_constraints:
        dataset=of_kind("url"),
    conda:
        "../../envs/data.yaml"
    resources:
        runtime=lambda wildcards, attempt: 60 * attempt,
        downloads=1,
    params:
        url=lambda wildcards: source_of(wildcards).address(wildcards.file),
        lock=lambda wildcards: LAYOUT.lock(wildcards.dataset),
    message:
        "Downloading {wildcards.file} of {wildcards.dataset}"
    script:
        "../../scripts/sections/download.py"


rule download_archive:
    output:
        LAYOUT.archive(),
    log:
        LAYOUT.log("download_archive", "{dataset}", "{archive}"),
    benchmark:
        LAYOUT.benchmark("download_archive", "{dataset}", "{archive}")
    wildcard_constraints:
        dataset=of_kind("archives"),
    conda:
        "../../envs/data.yaml"
    resources:
        runtime=lambda wildcards, attempt: 240 * attempt,
        downloads=1,
    params:
        url=lambda wildcards: source_of(wildcards).archives[wildcards.archive].url,
        lock=lambda wildcards: LAYOUT.lock(wildcards.dataset),
    message:
        "Downloading archive {wildcards.archive} of {wildcards.dataset}"
    script:
        "../../scripts/sections/download.py"


rule extract_file:
    input:
        lambda wildcards: LAYOUT.archive(wildcards.dataset, archive_of(wildcards)),
    output:
        f"{LAYOUT.raw_folder()}/{{file}}",
    log:
        LAYOUT.log("extract_file", "{dataset}", "{file}"),
    benchmark:
        LAYOUT.benchmark("extract_file", "{dataset}", "{file}")
    wildcard_constraints:
        dataset=of_kind("archives"),
        file="(?!archives/).+",
    conda:
        "../../envs/data.yaml"
    params:
        passwords=lambda wildcards: source_of(wildcards).archives[archive_of(wildcards)].passwords,
    message:
        "Extracting {wildcards.file} of {wildcards.dataset}"
    script:
        "../../scripts/sections/extract_file.py"


rule read_section:
    input:
        unpack(raw_files),
    output:
        LAYOUT.section(),
    log:
        LAYOUT.log("read_section", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("read_section", "{dataset}", "{section}")
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=reading_image(1500, per_mb=40),
    params:
        row=sheet_row,
    message:
        "Reading section {wildcards.section} of {wildcards.dataset}"
    script:
        "../../scripts/sections/read_section.py"


# Only on request: name the folder as a target.
rule export_spatialdata:
    input:
        section=LAYOUT.section(),
        image=raw_image,
    output:
        directory(LAYOUT.spatialdata()),
    log:
        LAYOUT.log("export_spatialdata", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("export_spatialdata", "{dataset}", "{section}")
    conda:
        "../../envs/spatialdata.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
    params:
        table="counts",
    message:
        "Writing section {wildcards.section} of {wildcards.dataset} as SpatialData"
    script:
        "../../scripts/sections/export_spatialdata.py"


rule read_labels:
    input:
        section=LAYOUT.section(),
        labels=raw_labels,
    output:
        LAYOUT.labels(),
    log:
        LAYOUT.log("read_labels", "{dataset}", "{section}"),
    benchmark:
        LAYOUT.benchmark("read_labels", "{dataset}", "{section}")
    conda:
        "../../envs/data.yaml"
    message:
        "Reading the labels of section {wildcards.section} of {wildcards.dataset}"
    script:
        "../../scripts/sections/read_labels.py"


rule assign_folds:
    output:
        LAYOUT.folds(),
    log:
        LAYOUT.log("assign_folds", "{dataset}", "{split}"),
    benchmark:
        LAYOUT.benchmark("assign_folds", "{dataset}", "{split}")
    conda:
        "../../envs/data.yaml"
    params:
        patients=lambda wildcards: STUDY.datasets[wildcards.dataset].sheet["patient"].to_dict(),
        folds=lambda wildcards: [
            asdict(fold) for fold in STUDY.datasets[wildcards.dataset].folds(wildcards.split)
        ],
    message:
        "Assigning the folds of {wildcards.dataset}, {wildcards.split}"
    script:
        "../../scripts/sections/assign_folds.py"


rule freeze_panel:
    input:
        panel=lambda wildcards: local(STUDY.datasets[wildcards.dataset].config.panel.file),
        sections=compared_sections,
    output:
        panel=LAYOUT.frozen_panel(),
        provenance=LAYOUT.provenance(LAYOUT.frozen_panel()),
    log:
        LAYOUT.log("freeze_panel", "{dataset}"),
    benchmark:
        LAYOUT.benchmark("freeze_panel", "{dataset}")
    conda:
        "../../envs/data.yaml"
    message:
        "Matching the frozen panel with the genes of {wildcards.dataset}"
    script:
        "../../scripts/sections/freeze_panel.py"


rule select_panel:
    input:
        train=training_sections,
        others=compared_sections,
    output:
        panel=LAYOUT.fold_panel(),
        provenance=LAYOUT.provenance(LAYOUT.fold_panel()),
    log:
        LAYOUT.log("select_panel", FOLD),
    benchmark:
        LAYOUT.benchmark("select_panel", FOLD)
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=growing(2000, per_mb=10),
    params:
        panel=lambda wildcards: STUDY.datasets[wildcards.dataset].config.panel.model_dump(),
    message:
        "Selecting genes on the training sections of {wildcards.dataset}, fold {wildcards.fold}"
    script:
        "../../scripts/sections/select_panel.py"
