"""Train one run on its training sections."""

from reg2st.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from pathlib import Path

    from reg2st.devices import claim_device
    from reg2st.training.fit import Recipe, fit_run
    from reg2st.training.inputs import section_files

    files = section_files(
        snakemake.input.sections,
        snakemake.input.embeddings,
        snakemake.input.get("patches", ()),
        snakemake.input.get("graphs", ()),
    )
    with claim_device() as device:
        fit_run(
            Recipe.parse(snakemake.params.recipe),
            files,
            Path(snakemake.input.panel),
            Path(snakemake.output.model).parent,
            device=device,
            checkpoint_seconds=snakemake.params.checkpoint_seconds,
        )
