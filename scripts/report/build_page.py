"""Build the interactive page of a section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.report.viewer.page_writer import write_page, write_summary
    from reg2st.report.viewer.study_page import page_of_section

    files, settings = snakemake.input, dict(snakemake.params.settings)
    methods = settings.pop("methods")
    of_methods = {
        kind: dict(zip(methods, files.get(kind, []), strict=True))
        for kind in ("predictions", "scores", "records")
    }
    page = page_of_section(
        files.section,
        files.image,
        panel=files.get("panel"),
        labels=files.get("labels") or None,
        **of_methods,
        **settings,
    )
    folder, start = snakemake.output.page, snakemake.params.viewer
    write_page(page, folder, start)
    write_summary(page, snakemake.output.summary, folder, start)
