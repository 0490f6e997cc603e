"""Draw the tests of one method against every other."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.evaluation.statistics import compare
    from reg2st.figures.style import save
    from reg2st.figures.wilcoxon import wilcoxon_boxes

    scores = pd.read_parquet(snakemake.input.scores)
    scores = scores[scores["variant"] == "full"]
    comparisons = compare(scores, snakemake.params.reference)
    save(
        wilcoxon_boxes(scores, comparisons, split=snakemake.wildcards.split),
        *snakemake.output,
    )
