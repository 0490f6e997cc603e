"""Match a pathologist's labels with the spots of a section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.sections.annotations import match_labels

    match_labels(snakemake.input.section, snakemake.input.labels, snakemake.output[0])
