"""Choose the genes of a set that the report tells apart."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    import pandas as pd

    from reg2st.base.files import written_whole
    from reg2st.evaluation.gene_sets import choose_gene_set
    from reg2st.sections.panels import read_genes

    panel = list(
        dict.fromkeys(gene for path in snakemake.input.panels for gene in read_genes(path))
    )
    how = snakemake.params.how
    if "file" in how:
        how = {"file": snakemake.input.genes}
    genes = choose_gene_set(how, panel, snakemake.input.get("sections", ()))
    table = pd.DataFrame({"gene": genes}).assign(
        dataset=snakemake.wildcards.dataset, gene_set=snakemake.wildcards.gene_set
    )
    with written_whole(snakemake.output[0]) as temporary:
        table[["dataset", "gene_set", "gene"]].to_csv(temporary, sep="\t", index=False)
    log.info("%d genes.", len(genes))
