"""Embed the fields of view around the spots of a section with an encoder."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from contextlib import nullcontext

    from reg2st.base.devices import claim_device
    from reg2st.base.memory import keep_freed_memory
    from reg2st.features.encoders import Grid, embed_section, load_encoder
    from reg2st.features.fields import View

    tiles = snakemake.params.get("tiles")
    device_of_job = claim_device() if snakemake.resources.get("gpu") else nullcontext("cpu")
    with device_of_job as device:
        loaded = load_encoder(snakemake.wildcards.encoder, snakemake.input.get("weights") or None)
        if device == "cpu" and not loaded.without_network:
            keep_freed_memory()
        embed_section(
            snakemake.input.image,
            snakemake.input.section,
            View(**snakemake.params.view),
            loaded,
            snakemake.output[0],
            tiles=Grid(**tiles) if tiles else None,
            device=device,
            workers=snakemake.threads,
        )
