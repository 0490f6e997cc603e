# What all rules share: the validated config, the runs it asks for, and where files are.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Jobs find the library, whatever environment they run in.
LIBRARY = Path(workflow.basedir).parent / "src"
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(LIBRARY), os.getenv("PYTHONPATH")])))
sys.path.insert(0, str(LIBRARY))

from reg2st.study.config import read_datasets, validated
from reg2st.features.encoders import encoder, path_name
from reg2st.base.errors import UserError
from reg2st.study.runs import expand_runs, expects_pcc, is_control, is_network

try:
    config = validated(config, Path(workflow.basedir) / "schemas" / "config.schema.yaml")
    DATASETS = read_datasets(config)
    RUNS = expand_runs(config, DATASETS)
    ENCODERS = {
        path_name(embedding.encoder): encoder(embedding.encoder)
        for run in RUNS
        for embedding in run.embeddings
    }
except UserError as error:
    raise WorkflowError(str(error)) from None

# Published numbers come with the workflow, wherever it runs.
PUBLISHED = os.path.relpath(Path(workflow.basedir).parent / "resources" / "published")
RESULTS = f"results/{config['name']}"
LOGS = f"logs/{config['name']}"
FOLD_OF = {(run.dataset, run.split, run.fold.name): run.fold for run in RUNS}
RUN_OF = {run.directory: run for run in RUNS}
RUN = "runs/{dataset}/{split}/{method}/{variant}/fold-{fold}/seed-{seed}"
METHOD_RUNS = "{dataset}/{split}/{method}/{variant}/seed-{seed}"
CONTROLS = sorted({run.method for run in RUNS if is_control(run.method)})
TRAINED = sorted({run.method for run in RUNS if not is_control(run.method)})
NETWORKS = [method for method in TRAINED if is_network(method)]
REGRESSIONS = [method for method in TRAINED if not is_network(method)]


wildcard_constraints:
    dataset="[A-Za-z0-9]+",
    section="[^/]+",
    split="section_out|patient_out",
    method="[a-z0-9_]+",
    variant="[a-z0-9_]+",
    fold="[^/]+",
    seed="[0-9]+",
    view="[A-Za-z0-9_]+",
    encoder="[^/]+",
    graph="[A-Za-z0-9_]+",


def sections_of(dataset):
    """Sections of a dataset that some run uses, in the order of the sheet."""
    used = {
        section
        for run in RUNS
        if run.dataset == dataset
        for section in (*run.fold.train, *run.fold.test)
    }
    return [section for section in DATASETS[dataset].sheet.index if section in used]


def runs_of(dataset):
    return [run for run in RUNS if run.dataset == dataset]


def tested_sections(dataset, splits=config["splits"]):
    """Sections that some run of some splits tests, in the order of the sheet."""
    tested = {
        section for run in runs_of(dataset) if run.split in splits for section in run.fold.test
    }
    return [section for section in sections_of(dataset) if section in tested]


def mapped_sections(dataset):
    """Sections that the study's first split tests, of which maps are drawn."""
    return tested_sections(dataset, config["splits"][:1])


def labelled(dataset, sections):
    """Those of some sections that have labels."""
    labels = DATASETS[dataset].sheet["labels"]
    return [section for section in sections if labels[section]]


def raw_file(dataset, section, column):
    """A file of the sample sheet where the workflow finds it; an empty list if there is none."""
    name = DATASETS[dataset].sheet.at[section, column]
    return f"{raw_folder(dataset)}/{name}" if name else []


def raw_folder(dataset):
    """The folder that a dataset's sheet is relative to."""
    if DATASETS[dataset].kind == "local":
        return DATASETS[dataset].config["root"].rstrip("/")
    if DATASETS[dataset].kind == "simulation":
        return f"{RESULTS}/simulated/{dataset}"
    return f"resources/raw/{dataset}"


def section_file(dataset, section):
    return f"{RESULTS}/sections/{dataset}/{section}.h5ad"


def run_of(wildcards):
    return RUN_OF[RUN.format(**wildcards)]


def panel_file(dataset, split, fold):
    """The panel of a fold: one for all folds if it is frozen."""
    if "file" in DATASETS[dataset].config["panel"]:
        return f"{RESULTS}/panels/{dataset}/paper.txt"
    return f"{RESULTS}/panels/{dataset}/train_only/{split}/fold-{fold}.txt"


def section_inputs(run, sections):
    """Files of some sections that a run reads, by kind; lists in the order of the sections."""
    files = {"sections": [section_file(run.dataset, section) for section in sections]}
    files["embeddings"] = [
        f"{RESULTS}/embeddings/{path_name(embedding.encoder)}/{embedding.view}/{run.dataset}/{section}.h5"
        for section in sections
        for embedding in run.embeddings
    ]
    if run.needs.patches or run.needs.mean_grey:
        files["patches"] = [
            f"{RESULTS}/patches/{run.patch_view}/{run.dataset}/{section}.h5" for section in sections
        ]
    if run.needs.graph:
        files["graphs"] = [
            f"{RESULTS}/graphs/{run.needs.graph}/{run.dataset}/{section}.npz"
            for section in sections
        ]
    return files


def plain_run(run, sections):
    """A run and the files of some of its sections as plain values, for the script of a rule."""
    return {
        "recipe": {
            "key": run.key,
            "settings": run.settings.model_dump(),
            "standardise": run.standardise,
            "precision": config["training"]["precision"],
        },
        "files": section_inputs(run, sections),
        "panel": panel_file(run.dataset, run.split, run.fold.name),
        "folder": f"{RESULTS}/{run.directory}",
    }


def tested_in(dataset, split):
    """How many sections and patients a split tests, in words."""
    runs = [run for run in runs_of(dataset) if run.split == split]
    sections = {section for run in runs for section in run.fold.test}
    patients = DATASETS[dataset].sheet.loc[sorted(sections), "patient"].nunique()
    return f"{len(sections)} sections of {patients} patients"


def caption():
    """What every caption says of the study, as plain values."""
    return {
        "study": config["name"],
        "runs": f"{RESULTS}/runs",
        "encoders": sorted(
            {f"{each.encoder} ({each.view})" for run in RUNS for each in run.embeddings}
        ),
        "panels": {
            name: dataset.config["panel"].get("file", "the published recipe, fitted on each fold")
            for name, dataset in DATASETS.items()
        },
        "presets": sorted({f"{run.method}: {run.preset}" for run in RUNS}),
        "seeds": config["seeds"],
        "tested": {
            name: {split: tested_in(name, split) for split in config["splits"]} for name in DATASETS
        },
    }


CAPTION = caption()
