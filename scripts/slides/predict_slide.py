"""Predict a slide that has no counts."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from pathlib import Path

    from reg2st.base.devices import claim_device
    from reg2st.base.memory import keep_freed_memory
    from reg2st.training.slide_embedding import SlideFiles
    from reg2st.training.slide_prediction import SlideRow, predict_slide

    weights = map(Path, snakemake.input.weights)
    tissue = snakemake.input.get("tissue")
    files = SlideFiles(
        image=Path(snakemake.input.image),
        model=Path(snakemake.input.model[0]).parent,
        weights=dict(zip(snakemake.params.weights, weights, strict=True)),
        tissue=Path(tissue) if tissue else None,
    )
    with claim_device() as device:
        if device == "cpu":
            keep_freed_memory()
        predict_slide(
            SlideRow.model_validate(snakemake.params.row),
            files,
            Path(snakemake.output.predictions),
            Path(snakemake.output.tissue),
            device=device,
            workers=snakemake.threads,
        )
