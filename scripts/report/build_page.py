"""Build the interactive page of a section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import os

    from reg2st.report.viewer.page_writer import write_page, write_summary
    from reg2st.report.viewer.study_page import page_of_inputs
    from reg2st.study.layout import Layout

    settings = snakemake.params.settings
    page = page_of_inputs(dict(snakemake.input.items()), **settings)
    # Relative to the page, since a module's prefix moves both.
    layout, folder = Layout(settings["study"]), snakemake.output.page
    way = os.path.relpath(layout.viewer, layout.page(**snakemake.wildcards))
    start = os.path.normpath(os.path.join(folder, way))
    write_page(page, folder, start)
    write_summary(page, snakemake.output.summary, folder, start)
