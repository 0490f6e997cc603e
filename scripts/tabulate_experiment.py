"""Tabulate variants of a method, beside the published numbers."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.evaluation.limits import read_limits, summarise_limits
    from reg2st.report.tables.experiment_tables import ablation, sensitivity
    from reg2st.report.writers import write_table

    tabulate = {"ablation": ablation, "sensitivity": sensitivity}[snakemake.wildcards.experiment]
    scores = pd.concat([pd.read_parquet(path) for path in snakemake.input.scores])
    published = pd.read_csv(snakemake.input.published, sep="\t")
    limits = summarise_limits(read_limits(snakemake.input.limits), scores)
    table = tabulate(scores, **snakemake.params.points, published=published, limits=limits)
    write_table(table, **dict(snakemake.output.items()))
