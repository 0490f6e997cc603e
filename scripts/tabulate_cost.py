"""Tabulate what the runs cost: parameters, seconds, memory, device."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.report.tables.cost import cost_table, read_run_records
    from reg2st.report.writers import write_table

    table = cost_table(read_run_records(snakemake.input))
    write_table(table, **dict(snakemake.output.items()))
