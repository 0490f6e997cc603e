"""Draw the spots of a section on its slide."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.features.patches import qc_picture

    qc_picture(snakemake.input.section, snakemake.input.patches, snakemake.output[0])
