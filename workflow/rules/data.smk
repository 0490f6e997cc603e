# Raw files: simulated, downloaded one by one, or taken out of archives. Local roots need none.
URL_DATASETS = [name for name, dataset in DATASETS.items() if dataset.kind == "url"]
ARCHIVE_DATASETS = [name for name, dataset in DATASETS.items() if dataset.kind == "archives"]
SIMULATED_DATASETS = [name for name, dataset in DATASETS.items() if dataset.kind == "simulation"]


rule simulate_section:
    output:
        image=f"{RESULTS}/simulated/{{dataset}}/images/{{section}}.tif",
        counts=f"{RESULTS}/simulated/{{dataset}}/counts/{{section}}.tsv.gz",
        spots=f"{RESULTS}/simulated/{{dataset}}/spots/{{section}}_selection.tsv",
        labels=f"{RESULTS}/simulated/{{dataset}}/labels/{{section}}_labels.tsv",
        truth=f"{RESULTS}/simulated/{{dataset}}/truth/{{section}}.h5",
    log:
        f"{LOGS}/simulate_section/{{dataset}}/{{section}}.log",
    benchmark:
        f"{LOGS}/simulate_section/{{dataset}}/{{section}}.tsv"
    wildcard_constraints:
        dataset=one_of(SIMULATED_DATASETS),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        simulation=lambda wildcards: DATASETS[wildcards.dataset].config["source"]["simulation"],
    message:
        "Simulating section {wildcards.section} of {wildcards.dataset}"
    script:
        "../../scripts/simulate_section.py"


rule download_file:
    output:
        "resources/raw/{dataset}/{file}",
    log:
        f"{LOGS}/download_file/{{dataset}}/{{file}}.log",
    benchmark:
        f"{LOGS}/download_file/{{dataset}}/{{file}}.tsv"
    wildcard_constraints:
        dataset=one_of(URL_DATASETS),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        downloads=1,
    params:
        url=lambda wildcards: (
            DATASETS[wildcards.dataset].config["source"]["base"] + wildcards.file
        ),
        lock=lambda wildcards: f"resources/locks/{wildcards.dataset}.tsv",
    message:
        "Downloading {wildcards.file} of {wildcards.dataset}"
    script:
        "../../scripts/download.py"


rule download_archive:
    output:
        "resources/raw/{dataset}/archives/{archive}",
    log:
        f"{LOGS}/download_archive/{{dataset}}/{{archive}}.log",
    benchmark:
        f"{LOGS}/download_archive/{{dataset}}/{{archive}}.tsv"
    wildcard_constraints:
        dataset=one_of(ARCHIVE_DATASETS),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
        downloads=1,
    params:
        url=lambda wildcards: DATASETS[wildcards.dataset].config["source"]["archives"][
            wildcards.archive
        ]["url"],
        lock=lambda wildcards: f"resources/locks/{wildcards.dataset}.tsv",
    message:
        "Downloading archive {wildcards.archive} of {wildcards.dataset}"
    script:
        "../../scripts/download.py"


rule extract_file:
    input:
        lambda wildcards: "resources/raw/{}/archives/{}".format(
            wildcards.dataset, archive_of(wildcards)[0]
        ),
    output:
        "resources/raw/{dataset}/{file}",
    log:
        f"{LOGS}/extract_file/{{dataset}}/{{file}}.log",
    benchmark:
        f"{LOGS}/extract_file/{{dataset}}/{{file}}.tsv"
    wildcard_constraints:
        dataset=one_of(ARCHIVE_DATASETS),
        file="(?!archives/).+",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        passwords=lambda wildcards: archive_of(wildcards)[1]["passwords"],
    message:
        "Taking {wildcards.file} out of the archive of {wildcards.dataset}"
    script:
        "../../scripts/extract_file.py"
