"""Write the tables of all slides."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from reg2st.report.slides.cohort import write_cohort

    keys = map(tuple, snakemake.params.slides)
    predictions = dict(zip(keys, snakemake.input, strict=True))
    write_cohort(predictions, {}, snakemake.output.summary, snakemake.output.failed)
