"""Compare clusters of predicted expression with the pathologist's regions of a section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.base.files import written_whole
    from reg2st.evaluation.regions import section_agreements

    agreements = section_agreements(
        snakemake.input.section, snakemake.input.labels, snakemake.input.predictions
    )
    with written_whole(snakemake.output[0]) as temporary:
        agreements.to_csv(temporary, sep="\t", index=False)
