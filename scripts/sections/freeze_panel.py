"""Take a frozen gene panel as it is."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    from reg2st.sections.gene_names import spreadsheet_dates
    from reg2st.sections.panels import read_panel, write_panel

    genes = read_panel(snakemake.input[0])
    write_panel(
        snakemake.output.panel, genes, {"chosen": "frozen list", "file": snakemake.input[0]}
    )
    log.info("%d genes from %s.", len(genes), snakemake.input[0])
    if dates := spreadsheet_dates(genes):
        log.warning("A spreadsheet made dates of the names of genes: %s.", ", ".join(dates))
