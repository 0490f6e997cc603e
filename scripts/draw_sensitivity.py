"""Draw a method over values of its settings as curves."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.figures.sensitivity import sensitivity_curves
    from reg2st.figures.style import save

    scores = pd.read_parquet(snakemake.input.scores)
    published = pd.read_csv(snakemake.input.published, sep="\t")
    figure = sensitivity_curves(
        scores,
        split=snakemake.wildcards.split,
        published=published,
        **snakemake.params.sensitivity,
    )
    save(figure, *snakemake.output)
