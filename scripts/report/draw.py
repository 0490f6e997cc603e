"""Draw a figure, or say why there is nothing to show, and save it in every format."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    from reg2st.report.contents import FIGURES
    from reg2st.report.style import NothingToShow, page_that_says, save

    figure = FIGURES[snakemake.wildcards.figure]
    files = dict(snakemake.input.items())
    try:
        drawn = figure.make(files, snakemake.params.settings, snakemake.wildcards.of)
    except NothingToShow as nothing:
        log.info("%s", nothing)
        drawn = page_that_says(str(nothing))
    save(drawn, *snakemake.output)
