"""Make a table and write it in every format."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import dataclasses

    from reg2st.report.contents import TABLES
    from reg2st.report.panel_notes import panel_notes
    from reg2st.report.run_notes import run_notes
    from reg2st.report.section_notes import section_notes
    from reg2st.report.writers import write_table

    files = dict(snakemake.input.items())
    of_runs = run_notes(files.pop("runs"))
    of_data = (*panel_notes(files.pop("panels", ())), *section_notes(files.pop("sections")))
    table = TABLES[snakemake.wildcards.table].make(files, snakemake.params.settings)
    noted = dataclasses.replace(table, notes=(*of_runs, *table.notes, *of_data))
    write_table(noted, *snakemake.output)
