"""Draw variants of a method, beside the published numbers."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.report.figures.ablation import ablation_bars
    from reg2st.report.figures.sensitivity import sensitivity_curves
    from reg2st.report.style import save

    drawings = {"ablation": ablation_bars, "sensitivity": sensitivity_curves}
    figure = drawings[snakemake.wildcards.experiment](
        pd.read_parquet(snakemake.input.scores),
        split=snakemake.wildcards.split,
        published=pd.read_csv(snakemake.input.published, sep="\t"),
        **snakemake.params.points,
    )
    save(figure, *snakemake.output)
