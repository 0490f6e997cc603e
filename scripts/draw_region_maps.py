"""Draw labelled regions and clusters of observed and predicted expression on the slide."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.report.figures.region_maps import region_maps
    from reg2st.report.style import save

    runs = [tuple(run) for run in snakemake.params.runs]
    predictions = dict(zip(runs, snakemake.input.predictions, strict=True))
    figure = region_maps(snakemake.input.section, predictions, split=snakemake.wildcards.split)
    save(figure, *snakemake.output)
