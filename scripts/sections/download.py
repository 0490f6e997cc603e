"""Download one file, held to its checksum."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.sections.sources.download import download

    download(snakemake.params.url, snakemake.output[0], lock=snakemake.params.lock)
