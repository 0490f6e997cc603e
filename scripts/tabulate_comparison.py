"""Tabulate the PCC of every method, with the limits and the published numbers beside."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.evaluation.limits import summarise_limits
    from reg2st.tables.comparison import comparison
    from reg2st.tables.writers import write_table

    scores = pd.concat([pd.read_parquet(path) for path in snakemake.input.scores])
    limits = pd.concat([pd.read_csv(path, sep="\t") for path in snakemake.input.limits])
    table = comparison(
        scores,
        variants=tuple(scores["variant"].unique()),
        limits=summarise_limits(limits, scores),
        published=pd.read_csv(snakemake.input.published, sep="\t"),
    )
    write_table(table, snakemake.output.tsv, snakemake.output.markdown, snakemake.output.latex)
