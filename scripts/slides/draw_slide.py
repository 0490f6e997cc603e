"""Draw the predictions of a slide, and write its spots for QuPath."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    import pandas as pd

    from reg2st.report.slides.predicted_maps import predicted_maps
    from reg2st.report.slides.predicted_slide import read_predicted_slide
    from reg2st.report.slides.spot_geojson import write_spots
    from reg2st.report.style import save

    predictions = snakemake.input.predictions
    slide = read_predicted_slide(
        predictions,
        pd.read_csv(snakemake.input.scores, sep="\t", keep_default_na=False, na_values=[""]),
        snakemake.params.genes,
        snakemake.params.best_genes,
    )
    write_spots(slide, predictions, snakemake.output.spots)
    save(predicted_maps(slide, predictions), snakemake.output.maps)
