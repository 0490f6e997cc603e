"""Draw the tests of one method against every other."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.evaluation.statistics import compare
    from reg2st.report.figures.wilcoxon import wilcoxon_boxes
    from reg2st.report.style import save

    scores = pd.read_parquet(snakemake.input.scores)
    scores = scores[scores["variant"] == "full"]
    comparisons = compare(scores, snakemake.params.reference)
    save(
        wilcoxon_boxes(scores, comparisons, split=snakemake.wildcards.split),
        *snakemake.output,
    )
