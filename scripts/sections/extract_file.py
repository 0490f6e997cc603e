"""Take one file of the sample sheet out of an archive."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.sections.sources.archives import extract_members

    extract_members(
        snakemake.input[0],
        {snakemake.wildcards.file: snakemake.output[0]},
        passwords=snakemake.params.passwords,
    )
