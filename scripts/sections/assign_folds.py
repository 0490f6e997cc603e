"""Write the folds of a split as a table."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    import pandas as pd

    from reg2st.base.files import written_whole
    from reg2st.study.folds import assign_folds, fold_table

    sheet = pd.DataFrame({"patient": snakemake.params.patients})
    sheet["section"] = sheet.index
    folds = assign_folds(sheet, snakemake.wildcards.split, **snakemake.params.held_out)
    with written_whole(snakemake.output[0]) as temporary:
        fold_table(sheet, folds).to_csv(temporary, sep="\t", index=False)
    log.info("%d folds of %d sections.", len(folds), len(sheet))
