"""Compare the predictions of a simulated slide with its truth."""

from reg2st.base.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from reg2st.evaluation.slide_truth import score_slide

    inputs = snakemake.input
    score_slide(inputs.predictions, inputs.truth, inputs.spots, snakemake.output[0])
