"""Draw PCC against the level of expression."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.report.figures.expression_level import expression_level
    from reg2st.report.style import save

    scores = pd.read_parquet(snakemake.input.scores)
    save(expression_level(scores, split=snakemake.wildcards.split), *snakemake.output)
