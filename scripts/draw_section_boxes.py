"""Draw the PCC of every section and method as box plots."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    import pandas as pd

    from reg2st.report.figures.section_boxes import section_boxes
    from reg2st.report.style import save

    scores = pd.read_parquet(snakemake.input.scores)
    save(section_boxes(scores, split=snakemake.wildcards.split), *snakemake.output)
