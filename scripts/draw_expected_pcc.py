"""Draw the PCC that a method expected of each gene against the PCC reached."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from pathlib import Path

    import pandas as pd

    from reg2st.evaluation.expectation import expected_and_true
    from reg2st.report.figures.expected_pcc import expected_pcc
    from reg2st.report.style import save

    scores = pd.read_parquet(snakemake.input.scores)
    drawn = {
        "split": snakemake.wildcards.split,
        "method": snakemake.wildcards.method,
        "variant": "full",
        "seed": snakemake.params.seed,
    }
    for column, value in drawn.items():
        scores = scores[scores[column] == value]
    figure = expected_pcc(
        expected_and_true(scores, map(Path, snakemake.input.predictions)),
        dataset=snakemake.wildcards.dataset,
        split=snakemake.wildcards.split,
        method=snakemake.wildcards.method,
    )
    save(figure, *snakemake.output)
