"""Compare clusters of predicted expression with the pathologist's regions of a section."""

from reg2st.jobs import job

with job(snakemake.log[0]):
    from dataclasses import asdict

    import anndata
    import pandas as pd

    from reg2st.evaluation.regions import region_agreement
    from reg2st.files import written_whole
    from reg2st.sections import load_section_arrays

    section = load_section_arrays(snakemake.input.section)
    rows = []
    for key, path in zip(snakemake.params.runs, snakemake.input.predictions, strict=True):
        predictions = anndata.read_h5ad(path)
        predicted = predictions.X[(predictions.obs["section"] == section.name).to_numpy()]
        agreement = region_agreement(predicted, section.labels)
        identity = {**key, "section": section.name, "patient": section.patient}
        rows.append({**identity, **asdict(agreement)})
    with written_whole(snakemake.output[0]) as temporary:
        pd.DataFrame(rows).to_csv(temporary, sep="\t", index=False)
