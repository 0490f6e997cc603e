"""Build a graph between the spots of a section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    from reg2st.features.graphs import nearest_neighbours, write_graph
    from reg2st.sections.section_file import load_section_arrays

    section = load_section_arrays(snakemake.input[0])
    edges = nearest_neighbours(
        section.array_xy, snakemake.params.neighbours, snakemake.params.within
    )
    write_graph(snakemake.output[0], edges, len(section.barcodes))
    log.info("%d spots, %d edges.", len(section.barcodes), edges.shape[1])
