"""Predict and score the test sections of some runs, one after the other."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from pathlib import Path

    from reg2st.evaluation.scores import score_run
    from reg2st.training.load import section_files
    from reg2st.training.predict import predict_run
    from reg2st.training.train import Recipe

    for run in snakemake.params.runs:
        recipe, folder = Recipe.parse(run["recipe"]), Path(run["folder"])
        files = section_files(**run["files"])
        predictions = folder / "predictions.h5ad"
        model = folder / "model.safetensors"
        predict_run(recipe, files, Path(run["panel"]), model, predictions)
        score_run(recipe.key, predictions, [each.section for each in files], folder / "scores.tsv")
