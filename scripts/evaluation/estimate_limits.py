"""Estimate the best PCC that any predictor could reach on a section, by gene."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.base.files import written_whole
    from reg2st.evaluation.limits import section_limits
    from reg2st.sections.panels import read_genes
    from reg2st.sections.targets import TARGETS

    limits = section_limits(
        snakemake.input.section,
        snakemake.input.others,
        read_genes(snakemake.input.panel),
        TARGETS[snakemake.params.target],
        snakemake.input.get("truth") or None,
    )
    with written_whole(snakemake.output[0]) as temporary:
        limits.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
