"""Draw the training curves of every network."""

from reg2st.base.jobs import job

with job(snakemake.log[0]):
    from collections import defaultdict

    from reg2st.report.figures.training_curves import training_curves
    from reg2st.report.labels import split_label
    from reg2st.report.style import save

    histories = defaultdict(list)
    for run, path in zip(snakemake.params.runs, snakemake.input.histories, strict=True):
        histories[tuple(run)].append(path)
    dataset, split = snakemake.wildcards.dataset, snakemake.wildcards.split
    tested = snakemake.params.caption["tested"][dataset][split]
    title = f"{dataset}, {split_label(split)}: {tested} held out in turn"
    save(training_curves(title, histories), *snakemake.output)
