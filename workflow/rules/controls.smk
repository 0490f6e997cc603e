# Controls are fitted in a moment, so those of a fold share a job, on the CPU; their predictions of
# all folds share one, too.
from itertools import product


rule fit_controls:
    input:
        lambda wildcards: training_inputs(control_runs(wildcards)),
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
        runs=lambda wildcards: [plain_run(run, run.fold.train) for run in control_runs(wildcards)],
        checkpoint_seconds=lambda wildcards: config["training"]["checkpoint_seconds"],
    message:
        "Fitting the controls on {wildcards.dataset}, {wildcards.split}, fold {wildcards.fold}"
    script:
        "../../scripts/train_model.py"


for dataset, split in product(DATASETS, config["splits"]):

    rule:
        name:
            f"predict_controls_{dataset}_{split}"
        input:
            lambda wildcards: test_inputs(control_runs(wildcards)),
            models=of_each_control(dataset, split, "model.safetensors"),
        output:
            predictions=of_each_control(dataset, split, "predictions.h5ad"),
            scores=of_each_control(dataset, split, "scores.tsv"),
        log:
            f"{LOGS}/predict_controls/{{dataset}}/{{split}}.log",
        benchmark:
            f"{LOGS}/predict_controls/{{dataset}}/{{split}}.tsv"
        wildcard_constraints:
            dataset=dataset,
            split=split,
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            mem_mb=growing(3000, per_mb=1),
            runtime=growing(30, per_mb=0.1),
        params:
            runs=lambda wildcards: [
                plain_run(run, run.fold.test) for run in control_runs(wildcards)
            ],
        message:
            "Predicting and scoring all folds with the controls, {wildcards.dataset}, "
            "{wildcards.split}"
        script:
            "../../scripts/predict_folds.py"
