"""Test one method against every other."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.evaluation.statistics import compare
    from reg2st.report.tables.significance import significance
    from reg2st.report.writers import write_table

    scores = pd.concat([pd.read_parquet(path) for path in snakemake.input.scores])
    scores = scores[scores["variant"] == "full"]
    table = significance(compare(scores, snakemake.params.reference))
    write_table(table, **dict(snakemake.output.items()))
