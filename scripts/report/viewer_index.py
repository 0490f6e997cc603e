"""Write the start page of the viewer."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from pathlib import Path

    from reg2st.report.contents import TABLES
    from reg2st.report.viewer.start_page import write_start_page

    files = dict(snakemake.input.items())
    summaries = files.pop("summaries")
    table = None
    if files:
        table = TABLES["comparison"].make(files, snakemake.params.settings)
    write_start_page(
        [summaries] if isinstance(summaries, str) else summaries,
        Path(snakemake.output.page).parent,
        study=snakemake.params.study,
        provenance=snakemake.params.provenance,
        table=table,
    )
