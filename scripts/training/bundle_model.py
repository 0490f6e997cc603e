"""Write the model folder of a training on all sections."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from pathlib import Path

    from reg2st.study.specification import ModelSpec, load
    from reg2st.training.bundle import bundle_model

    spec = ModelSpec.model_validate(snakemake.params.fit)
    (run,) = load([snakemake.params.fit["run"]], snakemake.input.files)
    bundle_model(
        spec.model_copy(update={"run": run}),
        Path(snakemake.input.weights),
        Path(snakemake.output[0]).parent,
    )
