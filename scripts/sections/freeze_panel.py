"""Match a panel file with the genes of a dataset's sections."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    from reg2st.sections.gene_names import spreadsheet_dates
    from reg2st.sections.panel_matching import check_sections, match_panel
    from reg2st.sections.panels import read_panel, write_panel
    from reg2st.sections.section_file import load_section_index

    sections = [load_section_index(path) for path in snakemake.input.sections]
    check_sections(sections)
    matched = match_panel(read_panel(snakemake.input.panel), sections, snakemake.input.panel)
    write_panel(
        snakemake.output.panel,
        matched.genes,
        {"chosen": "frozen list", "file": snakemake.input.panel, **matched.provenance()},
    )
    log.info("%d genes from %s.", len(matched.genes), snakemake.input.panel)
    if dates := spreadsheet_dates(matched.genes):
        log.warning("A spreadsheet made dates of the names of genes: %s.", ", ".join(dates))
