"""Tabulate the PCC of every section, with its limits beside."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.evaluation.limits import limits_by_section, read_limits
    from reg2st.report.tables.section_table import section_table
    from reg2st.report.writers import write_table

    scores = pd.concat([pd.read_parquet(path) for path in snakemake.input.scores])
    table = section_table(
        scores,
        variants=scores["variant"].unique(),
        limits=limits_by_section(read_limits(snakemake.input.limits)),
    )
    write_table(table, **dict(snakemake.output.items()))
