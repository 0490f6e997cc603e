"""Tabulate a method over values of its settings."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.tables.sensitivity import sensitivity
    from reg2st.tables.writers import write_table

    scores = pd.concat([pd.read_parquet(path) for path in snakemake.input.scores])
    published = pd.read_csv(snakemake.input.published, sep="\t")
    table = sensitivity(scores, **snakemake.params.sensitivity, published=published)
    write_table(table, **dict(snakemake.output.items()))
