"""Write the folds of a split as a table."""

from reg2st.base.jobs import job

with job(snakemake.log[0]) as log:
    import pandas as pd

    from reg2st.base.files import written_whole
    from reg2st.study.folds import Fold, fold_table

    sheet = pd.DataFrame({"patient": snakemake.params.patients})
    folds = [Fold(**fold) for fold in snakemake.params.folds]
    with written_whole(snakemake.output[0]) as temporary:
        fold_table(sheet, folds).to_csv(temporary, sep="\t", index=False)
    log.info("%d folds of %d sections.", len(folds), len(sheet))
    for fold in folds:
        if both := fold.patients_in_both(sheet["patient"]):
            log.info("Fold %s: patients in both training and test: %s.", fold.name, ", ".join(both))
