# A study in miniature, whose jobs take next to no time: sections, a training a fold, scores.
import json

DATASETS = config["datasets"]
RESULTS = f"results/{config['name']}"
LOGS = f"logs/{config['name']}"
MODEL = RESULTS + "/runs/{dataset}/{split}/{method}/fold-{fold}"

if not config["methods"]:
    from snakemake.exceptions import WorkflowError

    raise WorkflowError("There is no method.")


def run_of(method):
    return {"key": {"preset": "quick"}, "settings": {"epochs": config["methods"][method]}}


wildcard_constraints:
    dataset="|".join(DATASETS),
    method="|".join(config["methods"]),


rule all:
    input:
        expand(RESULTS + "/scores/{dataset}.tsv", dataset=DATASETS),


rule read_section:
    output:
        RESULTS + "/sections/{dataset}/{section}.bin",
    benchmark:
        LOGS + "/read_section/{dataset}/{section}.tsv"
    params:
        size=lambda wildcards: DATASETS[wildcards.dataset]["size"],
    shell:
        "head -c {params.size} /dev/zero > {output}"


rule train:
    input:
        lambda wildcards: [
            RESULTS + f"/sections/{wildcards.dataset}/{section}.bin"
            for section in "ABCD"
            if section != wildcards.fold
        ],
    output:
        model=MODEL + "/model.bin",
        record=MODEL + "/run.json",
    benchmark:
        LOGS + "/train/{dataset}/{split}/{method}/fold-{fold}.tsv"
    resources:
        gpu=1,
    params:
        runs=lambda wildcards: [run_of(wildcards.method)],
        record=lambda wildcards: json.dumps(run_of(wildcards.method)),
    shell:
        "head -c 1000 /dev/zero > {output.model}; echo {params.record:q} > {output.record}"


rule predict:
    input:
        lambda wildcards: expand(
            MODEL + "/model.bin", **wildcards, fold=DATASETS[wildcards.dataset]["folds"]
        ),
    output:
        RESULTS + "/runs/{dataset}/{split}/{method}/predictions.bin",
    benchmark:
        LOGS + "/predict/{dataset}/{split}/{method}.tsv"
    shell:
        "cat {input} > {output}"


rule collect:
    input:
        lambda wildcards: expand(
            RESULTS + "/runs/{{dataset}}/section_out/{method}/predictions.bin",
            method=config["methods"],
        ),
    output:
        RESULTS + "/scores/{dataset}{part}.tsv",
    benchmark:
        LOGS + "/collect/{dataset}{part}.tsv"
    wildcard_constraints:
        part="(_ablation)?",
    shell:
        "cat {input} > {output}"
