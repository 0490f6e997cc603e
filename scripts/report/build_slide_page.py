"""Build the interactive page of a slide without counts."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.report.viewer.page_writer import write_page, write_summary
    from reg2st.report.viewer.slide_page import page_of_slide
    from reg2st.study.layout import Layout

    inputs, settings = snakemake.input, snakemake.params.settings
    page = page_of_slide(inputs.predictions, inputs.image, **settings)
    folder, start = snakemake.output.page, Layout(settings["study"]).viewer
    write_page(page, folder, start)
    write_summary(page, snakemake.output.summary, folder, start)
