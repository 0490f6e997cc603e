"""Read a section of any platform and join it with its slide."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.sections.assembly import read_section
    from reg2st.sections.section_file import write_section
    from reg2st.sections.section_row import SectionRow

    row = SectionRow(**snakemake.params.row)
    section = read_section(row, dict(snakemake.input.items()), snakemake.wildcards.dataset)
    write_section(section, snakemake.output[0])
