"""Fetch the weights of an encoder."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.features.encoders import fetch_weights

    fetch_weights(snakemake.wildcards.weights, snakemake.output[0], snakemake.params.lock)
