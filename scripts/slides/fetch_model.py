"""Download a model folder from a hub."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from pathlib import Path

    from reg2st.models.hub_models import fetch_model

    fetch_model(
        snakemake.wildcards.hub_model, Path(snakemake.output[0]).parent, snakemake.params.lock
    )
