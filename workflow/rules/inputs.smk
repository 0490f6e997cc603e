# Functions that the rules ask for their inputs.
import re

from reg2st.study.experiments import read_experiments

EXPERIMENTS = read_experiments(config)


def growing(base, per_mb):
    """A resource that grows with each attempt and with the size of a job's inputs."""

    def amount(wildcards, input, attempt):
        # `input.size_mb` asks all files at once, which takes a fifth of a dry run's time.
        size_mb = sum(os.path.getsize(file) for file in input) / 1e6
        return attempt * round(base + per_mb * size_mb)

    return amount


def one_of(names):
    """A wildcard constraint that admits these names only."""
    return "|".join(map(re.escape, names)) or "(?!)"


def shown_runs(dataset, experiment=""):
    """Runs that an experiment sets side by side, or those that the comparison does."""
    if experiment:
        shows = EXPERIMENTS[experiment].shows
        return [run for run in runs_of(dataset) if shows(run.method, run.variant, run.split)]
    return [
        run
        for run in runs_of(dataset)
        if not any(
            run.method == each.method and run.variant in each.variants
            for each in EXPERIMENTS.values()
        )
    ]


def archive_of(wildcards):
    """The archive that holds a file of the sheet, with its name and settings."""
    dataset = DATASETS[wildcards.dataset]
    for column in ("image", "counts", "spots", "labels"):
        if wildcards.file in set(dataset.sheet[column]):
            for name, archive in dataset.config["source"]["archives"].items():
                if column in archive["holds"]:
                    return name, archive
    raise WorkflowError(f"No archive of dataset {wildcards.dataset} holds {wildcards.file}.")


def weights_file(wildcards):
    """Weights of an encoder; an empty list for one that has none."""
    weights = encoder(wildcards.encoder).weights
    return f"resources/weights/{path_name(weights)}.safetensors" if weights else []


def method_runs(wildcards):
    """Runs of a method's variant with a seed, one for each fold of a split."""
    return [
        run
        for run in runs_of(wildcards.dataset)
        if run.split == wildcards.split
        and run.method == wildcards.method
        and run.variant == wildcards.variant
        and run.seed == int(wildcards.seed)
    ]


def control_runs(wildcards):
    """Runs of the controls, of a fold or of all folds of a split."""
    return [
        run
        for run in runs_of(wildcards.dataset)
        if run.split == wildcards.split
        and run.fold.name == wildcards.get("fold", run.fold.name)
        and run.method in CONTROLS
    ]


def control_outputs(file):
    """A file of each control's run, of whatever dataset, split and fold."""
    folders = {
        f"runs/{{dataset}}/{{split}}/{run.method}/{run.variant}/fold-{{fold}}/seed-{run.seed}"
        for run in RUNS
        if run.method in CONTROLS
    }
    return [f"{RESULTS}/{folder}/{file}" for folder in sorted(folders)]


def of_each_fold(dataset, split, pattern):
    """A pattern for each fold of a split; its other wildcards stay."""
    folds = {fold for each, of, fold in FOLD_OF if (each, of) == (dataset, split)}
    return expand(pattern, fold=sorted(folds), allow_missing=True)


def of_each_control(dataset, split, file):
    """A file of each control's run, of each fold of a split."""
    return [path for each in control_outputs(file) for path in of_each_fold(dataset, split, each)]


def training_inputs(runs):
    """Files that some runs read of their panels and training sections."""
    return _inputs(runs, lambda run: run.fold.train)


def test_inputs(runs):
    """Files that some runs read of their panels and test sections."""
    return _inputs(runs, lambda run: run.fold.test)


def _inputs(runs, sections):
    files = {panel_file(run.dataset, run.split, run.fold.name): None for run in runs}
    for run in runs:
        for kind in section_inputs(run, sections(run)).values():
            files.update(dict.fromkeys(kind))
    return list(files)


def panel_of_section(wildcards):
    """The panel of the fold that tests a section, for the study's first split."""
    for run in runs_of(wildcards.dataset):
        if wildcards.section in run.fold.test:
            return panel_file(run.dataset, run.split, run.fold.name)
    return []


def trained_runs(wildcards):
    """Full-variant runs of a split that have a training history."""
    return [
        run
        for run in runs_of(wildcards.dataset)
        if run.split == wildcards.split and run.variant == "full" and is_network(run.method)
    ]


def runs_testing(wildcards):
    """Full-variant runs, with the first seed, that test a section in a split."""
    return [
        run
        for run in runs_of(wildcards.dataset)
        if run.split == wildcards.split
        and run.variant == "full"
        and run.seed == config["seeds"][0]
        and wildcards.section in run.fold.test
    ]


def expecting_runs(wildcards):
    """Full-variant runs of a method in a split, with the first seed."""
    return [
        run
        for run in runs_of(wildcards.dataset)
        if run.split == wildcards.split
        and run.method == wildcards.method
        and run.variant == "full"
        and run.seed == config["seeds"][0]
    ]


def per_split(pattern):
    """A file of each dataset and split."""
    return expand(
        f"{RESULTS}/{pattern}", dataset=DATASETS, split=config["splits"], allow_missing=True
    )


def limits_files():
    """What any predictor could reach, of every tested section."""
    return [
        f"{RESULTS}/limits/{dataset}/{section}.tsv"
        for dataset in DATASETS
        for section in tested_sections(dataset)
    ]


def comparison_files():
    """Tables and figures that compare the methods as they are configured."""
    tables = ["comparison", "sections", "genes", "significance", "cost"]
    if any(labelled(dataset, tested_sections(dataset)) for dataset in DATASETS):
        tables.append("regions")
    figures = ["section_boxes", "wilcoxon", "expression_level", "training"]
    files = [f"{RESULTS}/tables/{table}.html" for table in tables]
    for figure in figures:
        files += per_split(f"figures/{{dataset}}/{figure}/{{split}}.png")
    for method in config["methods"]:
        if expects_pcc(method):
            files += per_split(f"figures/{{dataset}}/expected_pcc/{{split}}/{method}.png")
    if len(config["splits"]) == 2:
        files += expand(f"{RESULTS}/figures/{{dataset}}/leakage.png", dataset=DATASETS)
    for dataset in DATASETS:
        for section in mapped_sections(dataset):
            files.append(
                f"{RESULTS}/figures/{dataset}/gene_maps/{config['splits'][0]}/{section}.png"
            )
        for section in labelled(dataset, mapped_sections(dataset)):
            files.append(
                f"{RESULTS}/figures/{dataset}/region_maps/{config['splits'][0]}/{section}.png"
            )
        for section in sections_of(dataset):
            files.append(f"{RESULTS}/figures/{dataset}/spots/{section}.png")
    return files


def experiment_files(experiment):
    """Table and figures of an experiment, if the config asks for it."""
    if experiment not in EXPERIMENTS:
        return []
    return [
        f"{RESULTS}/tables/{experiment}.html",
        *expand(
            f"{RESULTS}/figures/{{dataset}}/{experiment}/{{split}}.png",
            dataset=DATASETS,
            split=EXPERIMENTS[experiment].splits,
        ),
    ]


def points_of(wildcards):
    """What an experiment varies, as its table and figures ask for it."""
    block = config[wildcards.experiment]
    return {key: value for key, value in block.items() if key != "splits"}


def show_summary():
    """What a finished run tells: its table, and where the report is."""
    table = Path(RESULTS, "tables/comparison.txt")
    reports = [Path(RESULTS, f"{name}.html") for name in REPORTS]
    reports = [report for report in reports if report.is_file()]
    if table.is_file() and reports:
        print(table.read_text(), f"Report: {max(reports, key=os.path.getmtime)}", sep="\n")
