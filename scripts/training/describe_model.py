"""Write the card and the scores of a model folder."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from pathlib import Path

    from reg2st.report.model_card import describe_model

    scores = snakemake.input.get("scores") or snakemake.params.scores.get("file")
    describe_model(Path(snakemake.output.card).parent, Path(scores) if scores else None)
