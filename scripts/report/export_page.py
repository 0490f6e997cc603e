"""Write a section's values for TissUUmaps and QuPath."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.report.viewer.other_viewers import export_page
    from reg2st.report.viewer.study_page import page_of_inputs

    page = page_of_inputs(dict(snakemake.input.items()), **snakemake.params.settings)
    export_page(page, snakemake.output[0])
