"""Predict and score the test sections of some runs, one after the other."""

from reg2st.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from contextlib import nullcontext
    from pathlib import Path

    from reg2st.devices import claim_device
    from reg2st.evaluation.score import score_run
    from reg2st.training.fit import Recipe
    from reg2st.training.inputs import section_files
    from reg2st.training.predict import predict_run

    device_of_job = claim_device() if snakemake.resources.get("gpu") else nullcontext("cpu")
    with device_of_job as device:
        for run in snakemake.params.runs:
            recipe, folder = Recipe.parse(run["recipe"]), Path(run["folder"])
            files = section_files(**run["files"])
            predictions = folder / "predictions.h5ad"
            predict_run(
                recipe,
                files,
                Path(run["panel"]),
                folder / "model.safetensors",
                predictions,
                device=device,
            )
            sections = [each.section for each in files]
            score_run(recipe.key, predictions, sections, folder / "scores.tsv")
