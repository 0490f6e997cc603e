"""Write the spots of a section or a predicted slide, with the slide, as SpatialData."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from reg2st.sections.spatialdata_store import write_spatialdata

    write_spatialdata(
        snakemake.input.section,
        snakemake.input.image,
        snakemake.output[0],
        table_name=snakemake.params.table,
    )
