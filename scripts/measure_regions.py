"""Compare clusters of predicted expression with the pathologist's regions of a section."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    from reg2st.evaluation.regions import section_agreements
    from reg2st.files import written_whole

    agreements = section_agreements(
        snakemake.input.section, snakemake.params.runs, snakemake.input.predictions
    )
    with written_whole(snakemake.output[0]) as temporary:
        agreements.to_csv(temporary, sep="\t", index=False)
