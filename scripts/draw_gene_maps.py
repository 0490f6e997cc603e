"""Map observed and predicted genes on the slide of a section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.report.figures.gene_maps import gene_maps, genes_to_map
    from reg2st.report.style import save

    genes = genes_to_map(
        pd.read_parquet(snakemake.input.scores),
        split=snakemake.wildcards.split,
        section=snakemake.wildcards.section,
        named=snakemake.params.genes,
        best=snakemake.params.best_genes,
    )
    runs = [tuple(run) for run in snakemake.params.runs]
    predictions = dict(zip(runs, snakemake.input.predictions, strict=True))
    figure = gene_maps(snakemake.input.section, predictions, genes, split=snakemake.wildcards.split)
    save(figure, *snakemake.output)
