"""Predict and score the test sections of every fold."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from pathlib import Path

    from reg2st.evaluation.scores import score_folds
    from reg2st.study.specification import load
    from reg2st.training.predict import predict_folds

    runs = load(snakemake.params.runs, snakemake.input)
    predictions = Path(snakemake.output.predictions)
    predict_folds(runs, predictions)
    score_folds(runs, predictions, Path(snakemake.output.scores))
