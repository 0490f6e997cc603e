# One training for each dataset, split, method, variant, fold and seed: networks on a GPU where there
# is one, regressions on the CPU.
from itertools import product


rule train_model:
    input:
        unpack(lambda wildcards: section_inputs(run_of(wildcards), run_of(wildcards).fold.train)),
        panel=lambda wildcards: panel_file(wildcards.dataset, wildcards.split, wildcards.fold),
    output:
        model=f"{RESULTS}/{RUN}/model.safetensors",
        record=f"{RESULTS}/{RUN}/run.json",
        history=f"{RESULTS}/{RUN}/history.tsv",
    log:
        f"{LOGS}/train_model/{RUN}.log",
    benchmark:
        f"{LOGS}/train_model/{RUN}.tsv"
    wildcard_constraints:
        method=one_of(NETWORKS),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000, per_mb=3),
        runtime=growing(240, per_mb=0.2),
        gpu=1,
    params:
        runs=lambda wildcards: [plain_run(run_of(wildcards), run_of(wildcards).fold.train)],
        checkpoint_seconds=lambda wildcards: config["training"]["checkpoint_seconds"],
    message:
        "Training {wildcards.method} ({wildcards.variant}) on {wildcards.dataset}, "
        "{wildcards.split}, fold {wildcards.fold}, seed {wildcards.seed}"
    script:
        "../../scripts/train_model.py"


use rule train_model as fit_regression with:
    log:
        f"{LOGS}/fit_regression/{RUN}.log",
    benchmark:
        f"{LOGS}/fit_regression/{RUN}.tsv"
    wildcard_constraints:
        method=one_of(REGRESSIONS),
    resources:
        mem_mb=growing(6000, per_mb=3),
        runtime=growing(240, per_mb=0.2),
    message:
        "Fitting {wildcards.method} ({wildcards.variant}) on {wildcards.dataset}, "
        "{wildcards.split}, fold {wildcards.fold}, seed {wildcards.seed}"


# The folds of a split are predicted by one job a method, on the CPU: a fold takes a second or two,
# less than starting a job. How many folds there are differs, hence a rule for each dataset and split.
for dataset, split in product(DATASETS, config["splits"]):

    rule:
        name:
            f"predict_{dataset}_{split}"
        input:
            lambda wildcards: test_inputs(method_runs(wildcards)),
            models=of_each_fold(dataset, split, f"{RESULTS}/{RUN}/model.safetensors"),
        output:
            predictions=of_each_fold(dataset, split, f"{RESULTS}/{RUN}/predictions.h5ad"),
            scores=of_each_fold(dataset, split, f"{RESULTS}/{RUN}/scores.tsv"),
        log:
            f"{LOGS}/predict/{METHOD_RUNS}.log",
        benchmark:
            f"{LOGS}/predict/{METHOD_RUNS}.tsv"
        wildcard_constraints:
            dataset=dataset,
            split=split,
            method=one_of(TRAINED),
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=growing(4000, per_mb=1),
            runtime=growing(30, per_mb=0.1),
        params:
            runs=lambda wildcards: [plain_run(run, run.fold.test) for run in method_runs(wildcards)],
        message:
            "Predicting and scoring all folds with {wildcards.method} ({wildcards.variant}), "
            "{wildcards.dataset}, {wildcards.split}, seed {wildcards.seed}"
        script:
            "../../scripts/predict_folds.py"
