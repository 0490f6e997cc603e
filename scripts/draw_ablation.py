"""Draw a method without each of its parts as bars."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.figures.ablation import ablation_bars
    from reg2st.figures.style import save

    scores = pd.read_parquet(snakemake.input.scores)
    published = pd.read_csv(snakemake.input.published, sep="\t")
    figure = ablation_bars(
        scores,
        split=snakemake.wildcards.split,
        published=published,
        **snakemake.params.ablation,
    )
    save(figure, *snakemake.output)
