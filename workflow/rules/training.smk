# One training and one prediction for each dataset, split, method, variant, fold and seed. The
# controls of a fold, which are fitted in a moment, share one job.


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
        method=one_of(TRAINED),
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


rule predict_fold:
    input:
        unpack(lambda wildcards: section_inputs(run_of(wildcards), run_of(wildcards).fold.test)),
        panel=lambda wildcards: panel_file(wildcards.dataset, wildcards.split, wildcards.fold),
        model=f"{RESULTS}/{RUN}/model.safetensors",
    output:
        predictions=f"{RESULTS}/{RUN}/predictions.h5ad",
        scores=f"{RESULTS}/{RUN}/scores.tsv",
    log:
        f"{LOGS}/predict_fold/{RUN}.log",
    benchmark:
        f"{LOGS}/predict_fold/{RUN}.tsv"
    wildcard_constraints:
        method=one_of(TRAINED),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000, per_mb=4),
        runtime=growing(30, per_mb=0.1),
        gpu=1,
    params:
        runs=lambda wildcards: [plain_run(run_of(wildcards), run_of(wildcards).fold.test)],
    message:
        "Predicting and scoring fold {wildcards.fold} with {wildcards.method} "
        "({wildcards.variant}), {wildcards.dataset}, {wildcards.split}, seed {wildcards.seed}"
    script:
        "../../scripts/predict_fold.py"
