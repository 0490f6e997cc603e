"""Tabulate the best and the worst predicted genes."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.evaluation.limits import limits_by_gene, read_limits
    from reg2st.report.tables.gene_table import gene_table
    from reg2st.report.writers import write_table

    scores = pd.concat([pd.read_parquet(path) for path in snakemake.input.scores])
    limits = limits_by_gene(read_limits(snakemake.input.limits))
    table = gene_table(scores, ranked_by=snakemake.params.ranked_by, limits=limits)
    write_table(table, **dict(snakemake.output.items()))
