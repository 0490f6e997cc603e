"""Tabulate how far clusters of predicted expression agree with the pathologist's regions."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.tables.regions import region_table
    from reg2st.tables.writers import write_table

    agreement = pd.concat([pd.read_csv(path, sep="\t") for path in snakemake.input.agreement])
    table = region_table(agreement)
    write_table(table, **dict(snakemake.output.items()))
