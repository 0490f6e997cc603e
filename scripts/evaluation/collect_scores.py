"""Collect the scores of all runs of a dataset into one tidy file."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    from reg2st.base.files import written_whole
    from reg2st.evaluation.scores import collected

    scores = collected(snakemake.input)
    with written_whole(snakemake.output[0]) as temporary:
        scores.to_parquet(temporary, index=False)
    log.info("%d scores of %d runs.", len(scores), len(snakemake.input))
