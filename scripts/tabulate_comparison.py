"""Tabulate the PCC of every method, with the limits and the published numbers beside."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.base.files import written_whole
    from reg2st.evaluation.limits import read_limits, summarise_limits
    from reg2st.report.tables.comparison import comparison
    from reg2st.report.writers import as_text, write_table

    scores = pd.concat([pd.read_parquet(path) for path in snakemake.input.scores])
    table = comparison(
        scores,
        variants=scores["variant"].unique(),
        limits=summarise_limits(read_limits(snakemake.input.limits), scores),
        published=pd.read_csv(snakemake.input.published, sep="\t"),
    )
    files = dict(snakemake.output.items())
    with written_whole(files.pop("text")) as temporary:
        temporary.write_text(as_text(table) + "\n")
    write_table(table, **files)
