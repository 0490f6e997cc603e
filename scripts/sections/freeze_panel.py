"""Take a frozen gene panel as it is."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    from reg2st.sections.panels import read_panel, write_panel

    genes = read_panel(snakemake.input[0])
    write_panel(
        snakemake.output.panel, genes, {"chosen": "frozen list", "file": snakemake.input[0]}
    )
    log.info("%d genes from %s.", len(genes), snakemake.input[0])
