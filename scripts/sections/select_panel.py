"""Select a gene panel on the training sections of a fold."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    from reg2st.base.failures import FAILED
    from reg2st.sections.panel_choice import choose_panel
    from reg2st.sections.panel_matching import check_sections
    from reg2st.sections.panels import write_panel
    from reg2st.sections.section_file import load_section_index

    check_sections([load_section_index(path) for path in snakemake.input])
    genes, provenance = choose_panel(snakemake.params.panel, snakemake.input.train)
    write_panel(snakemake.output.panel, genes, provenance)
    if not genes:
        log.warning("Fold %s has no panel: %s", snakemake.wildcards.fold, provenance[FAILED])
    log.info("%d genes chosen on %d training sections.", len(genes), len(snakemake.input.train))
