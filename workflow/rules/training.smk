# One training job for each dataset, split, method, variant, seed and fold: networks on a GPU if there
# is one, regressions on the CPU. One job predicts all folds of a method, because a fold takes a second
# or two, less than the start of a job.


rule train_network:
    input:
        lambda wildcards: STUDY.training(**wildcards).files(),
    output:
        model=LAYOUT.model("model.safetensors"),
        record=LAYOUT.model("run.json"),
        history=LAYOUT.model("history.tsv"),
    log:
        LAYOUT.log("train_network", RUN, "fold-{fold}"),
    benchmark:
        LAYOUT.benchmark("train_network", RUN, "fold-{fold}")
    wildcard_constraints:
        method=one_of(filter(is_network, STUDY.config.methods)),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=reading_on_demand(6000, per_mb=3),
        runtime=growing(240, per_mb=0.2),
        gpu=1,
    params:
        runs=lambda wildcards: dump([STUDY.training(**wildcards)]),
    message:
        "Training {wildcards.method} ({wildcards.variant}) on {wildcards.dataset}, "
        "{wildcards.split}, fold {wildcards.fold}, seed {wildcards.seed}"
    script:
        "../../scripts/training/train.py"


use rule train_network as fit_regression with:
    log:
        LAYOUT.log("fit_regression", RUN, "fold-{fold}"),
    benchmark:
        LAYOUT.benchmark("fit_regression", RUN, "fold-{fold}")
    wildcard_constraints:
        method=one_of(name for name in STUDY.config.methods if not is_network(name)),
    resources:
        mem_mb=growing(6000, per_mb=3),
        runtime=growing(240, per_mb=0.2),
    message:
        "Fitting {wildcards.method} ({wildcards.variant}) on {wildcards.dataset}, "
        "{wildcards.split}, fold {wildcards.fold}"


rule predict:
    input:
        lambda wildcards: files_of(STUDY.predictions(**wildcards)),
    output:
        predictions=LAYOUT.cross_validation("predictions.h5ad"),
        scores=LAYOUT.cross_validation("scores.tsv"),
    log:
        LAYOUT.log("predict", RUN),
    benchmark:
        LAYOUT.benchmark("predict", RUN)
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=reading_on_demand(4000, per_mb=5),
        runtime=growing(30, per_mb=0.1),
    params:
        runs=lambda wildcards: dump(STUDY.predictions(**wildcards)),
    message:
        "Predicting and scoring all folds with {wildcards.method} ({wildcards.variant}), "
        "{wildcards.dataset}, {wildcards.split}, seed {wildcards.seed}"
    script:
        "../../scripts/training/predict.py"


# Models to take away: one training on all sections of a dataset for each method that can predict
# slides.
rule bundle_model:
    input:
        files=lambda wildcards: STUDY.fit(**wildcards).run.files(),
        weights=lambda wildcards: LAYOUT.model(
            "model.safetensors", **STUDY.fitted_run(**wildcards).model
        ),
    output:
        [LAYOUT.fitted_model(file) for file in MODEL_FILES],
    log:
        LAYOUT.log("bundle_model", "{dataset}", "{method}"),
    benchmark:
        LAYOUT.benchmark("bundle_model", "{dataset}", "{method}")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=growing(4000, per_mb=3),
    params:
        fit=lambda wildcards: STUDY.fit(**wildcards).model_dump(mode="json", exclude_none=True),
    message:
        "Writing the model folder of {wildcards.method} on {wildcards.dataset}"
    script:
        "../../scripts/training/bundle_model.py"


# The card may change without the model: a comparison that ran later reruns this job alone.
rule describe_model:
    input:
        model=LAYOUT.fitted_model(MODEL_FILES[0]),
        scores=scores_of_comparison,
    output:
        card=LAYOUT.fitted_model(MODEL_CARD),
        scores=LAYOUT.fitted_model(MODEL_SCORES),
    log:
        LAYOUT.log("describe_model", "{dataset}", "{method}"),
    benchmark:
        LAYOUT.benchmark("describe_model", "{dataset}", "{method}")
    conda:
        "../../envs/report.yaml"
    params:
        scores=known_scores,
    message:
        "Writing the model card of {wildcards.method} on {wildcards.dataset}"
    script:
        "../../scripts/training/describe_model.py"


rule models:
    input:
        [
            LAYOUT.fitted_model(file, fit.dataset, fit.method)
            for fit in STUDY.fits
            for file in (*MODEL_FILES, MODEL_CARD, MODEL_SCORES)
        ],
