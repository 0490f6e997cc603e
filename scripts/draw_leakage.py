"""Draw section-out against patient-out for every method."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.report.figures.leakage import leakage
    from reg2st.report.style import save

    scores = pd.read_parquet(snakemake.input.scores)
    save(leakage(scores), *snakemake.output)
