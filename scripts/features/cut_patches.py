"""Cut a patch around each spot of a section."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.features.fields import View
    from reg2st.features.patches import cut_patches

    cut_patches(
        snakemake.input.image,
        snakemake.input.section,
        View(**snakemake.params.view),
        snakemake.output[0],
    )
