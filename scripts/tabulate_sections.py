"""Tabulate the PCC of every section, with its limits beside."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.tables.sections import section_table
    from reg2st.tables.writers import write_table

    scores = pd.concat([pd.read_parquet(path) for path in snakemake.input.scores])
    limits = pd.concat(
        [pd.read_csv(path, sep="\t", dtype={"section": str}) for path in snakemake.input.limits]
    )
    by_section = limits.groupby(["dataset", "section", "limit"], as_index=False)["pcc"].mean()
    table = section_table(
        scores,
        variants=scores["variant"].unique(),
        limits=by_section.rename(columns={"pcc": "mean_pcc"}),
    )
    write_table(table, **dict(snakemake.output.items()))
