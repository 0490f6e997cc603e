"""Build a graph between the spots of a section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    from reg2st.features.graphs import nearest_neighbours, write_graph
    from reg2st.sections.positions import pitch_xy
    from reg2st.sections.section_file import load_section_arrays

    section, graph = load_section_arrays(snakemake.input[0]), snakemake.params.graph
    edges = nearest_neighbours(pitch_xy(section), graph["neighbours"], graph.get("within"))
    write_graph(snakemake.output[0], edges, len(section.barcodes))
    log.info("%d spots, %d edges.", len(section.barcodes), edges.shape[1])
