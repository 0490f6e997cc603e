"""Tabulate how far clusters of predicted expression agree with the pathologist's regions."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.report.tables.region_table import region_table
    from reg2st.report.writers import write_table

    names = {"fold": str, "section": str, "patient": str}
    agreements = [pd.read_csv(path, sep="\t", dtype=names) for path in snakemake.input.agreement]
    table = region_table(pd.concat(agreements))
    write_table(table, **dict(snakemake.output.items()))
