"""Embed the patches of a section with an encoder."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from contextlib import nullcontext

    from reg2st.base.devices import claim_device
    from reg2st.features.encoders import embed_patches, load_encoder

    device_of_job = claim_device() if snakemake.resources.get("gpu") else nullcontext("cpu")
    with device_of_job as device:
        loaded = load_encoder(snakemake.wildcards.encoder, snakemake.input.get("weights") or None)
        embed_patches(snakemake.input.patches, loaded, snakemake.output[0], device=device)
