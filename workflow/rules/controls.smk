# Controls are fitted in a moment, so those of a fold share a job, on the CPU.


rule fit_controls:
    input:
        lambda wildcards: control_inputs(wildcards, "train"),
    output:
        models=control_outputs("model.safetensors"),
        records=control_outputs("run.json"),
        histories=control_outputs("history.tsv"),
    log:
        f"{LOGS}/fit_controls/{{dataset}}/{{split}}/fold-{{fold}}.log",
    benchmark:
        f"{LOGS}/fit_controls/{{dataset}}/{{split}}/fold-{{fold}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000, per_mb=3),
        runtime=growing(30, per_mb=0.1),
    params:
        runs=lambda wildcards: [plain_run(run, run.fold.train) for run in controls_of(wildcards)],
        checkpoint_seconds=lambda wildcards: config["training"]["checkpoint_seconds"],
    message:
        "Fitting the controls on {wildcards.dataset}, {wildcards.split}, fold {wildcards.fold}"
    script:
        "../../scripts/train_model.py"


rule predict_controls:
    input:
        lambda wildcards: control_inputs(wildcards, "test"),
        models=control_outputs("model.safetensors"),
    output:
        predictions=control_outputs("predictions.h5ad"),
        scores=control_outputs("scores.tsv"),
    log:
        f"{LOGS}/predict_controls/{{dataset}}/{{split}}/fold-{{fold}}.log",
    benchmark:
        f"{LOGS}/predict_controls/{{dataset}}/{{split}}/fold-{{fold}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000, per_mb=4),
        runtime=growing(30, per_mb=0.1),
    params:
        runs=lambda wildcards: [plain_run(run, run.fold.test) for run in controls_of(wildcards)],
    message:
        "Predicting and scoring fold {wildcards.fold} with the controls, "
        "{wildcards.dataset}, {wildcards.split}"
    script:
        "../../scripts/predict_fold.py"
