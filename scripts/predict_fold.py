"""Predict and score the test sections of one run."""

from reg2st.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from pathlib import Path

    from reg2st.devices import claim_device
    from reg2st.evaluation.score import score_run
    from reg2st.training.fit import Recipe
    from reg2st.training.inputs import section_files
    from reg2st.training.predict import predict_run

    files = section_files(
        snakemake.input.sections,
        snakemake.input.embeddings,
        snakemake.input.get("patches", ()),
        snakemake.input.get("graphs", ()),
    )
    run = Recipe.parse(snakemake.params.recipe)
    with claim_device() as device:
        predict_run(
            run,
            files,
            Path(snakemake.input.panel),
            Path(snakemake.input.model),
            Path(snakemake.output.predictions),
            device=device,
        )
    score_run(
        run.key,
        Path(snakemake.output.predictions),
        [Path(path) for path in snakemake.input.sections],
        Path(snakemake.output.scores),
    )
