"""Train some runs on their training sections, one after the other."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from contextlib import nullcontext
    from pathlib import Path

    from reg2st.base.devices import claim_device
    from reg2st.training.load import section_files
    from reg2st.training.train import Recipe, fit_run

    device_of_job = claim_device() if snakemake.resources.get("gpu") else nullcontext("cpu")
    with device_of_job as device:
        for run in snakemake.params.runs:
            fit_run(
                Recipe.parse(run["recipe"]),
                section_files(**run["files"]),
                Path(run["panel"]),
                Path(run["folder"]),
                device=device,
                checkpoint_seconds=snakemake.params.checkpoint_seconds,
            )
