"""Make a table and write it in every format."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.report.contents import TABLES
    from reg2st.report.writers import write_table

    table = TABLES[snakemake.wildcards.table]
    files = dict(snakemake.input.items())
    write_table(table.make(files, snakemake.params.settings), *snakemake.output)
