"""Join counts, spots, labels and slide of a section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.sections.readers.st import read_section
    from reg2st.sections.section_file import write_section

    um_per_px = float(snakemake.params.um_per_px)
    section = read_section(
        snakemake.wildcards.section,
        dataset=snakemake.wildcards.dataset,
        patient=snakemake.params.patient,
        image=snakemake.input.image,
        counts=snakemake.input.counts,
        spots=snakemake.input.spots,
        um_per_px=um_per_px if um_per_px == um_per_px else None,
    )
    write_section(section, snakemake.output[0])
