# Shared by all rules: the study, its paths, and constraints on wildcards.
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger


def library():
    """The folder of the package; on a git host, Snakemake's source cache fetches its files."""
    home = workflow.current_basedir.join("../..")
    if not hasattr(home, "hosted_repo"):
        return os.path.normpath(f"{home.get_path_or_uri(secret_free=True)}/src")
    folders = ("resources/published", "src")
    listed = home.hosted_repo.repo.git.ls_tree("-r", "--name-only", home.ref, *folders)
    # The cache decodes what it fetches as text.
    names = [name for name in listed.splitlines() if not name.endswith(".gz")]
    files = [workflow.source_path(f"../../{name}") for name in names]
    return files[-1][: -len(names[-1])] + "src"


# Jobs find the library, whatever environment they run in.
LIBRARY = library()
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [LIBRARY, os.getenv("PYTHONPATH")])))
sys.path.insert(0, LIBRARY)
# Snakemake puts the interpreter's path into shell commands without quotes.
if os.path.exists(sys.executable):
    sys.executable = shlex.quote(sys.executable)

from reg2st.base.errors import UserError
from reg2st.models.model_folder import CARD as MODEL_CARD
from reg2st.models.model_folder import NEEDED as MODEL_FILES
from reg2st.models.model_folder import SCORES as MODEL_SCORES
from reg2st.report.slides.cohort import told, write_cohort
from reg2st.sections.slides import decoded_mb
from reg2st.study.dataset_config import FileGenes
from reg2st.study.fits import ALL_SECTIONS
from reg2st.study.runs import is_network
from reg2st.study.slide_models import weights_of
from reg2st.study.slide_sheets import SIMULATED as SIMULATED_SLIDES
from reg2st.study.specification import dump, files_of
from reg2st.study.study import Study

try:
    STUDY = Study.read(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process:
    for warning in STUDY.warnings:
        logger.warning(f"Warning: {warning}")

# Scripts and captions see the config with its defaults.
config.update(STUDY.config.model_dump(mode="json"))
LAYOUT = STUDY.layout
STARTED = time.time()
RUN = "{dataset}/{split}/{method}/{variant}/seed-{seed}"
FOLD = "{dataset}/{split}/fold-{fold}"


def one_of(names):
    """A wildcard constraint that matches only these names."""
    return "|".join(map(re.escape, names)) or "(?!)"


def growing(base, per_mb, of=None):
    """A resource that grows with each attempt and the size of a job's inputs, or of one of them."""

    def amount(wildcards, input, attempt):
        return attempt * round(base + per_mb * megabytes([input[of]] if of else input))

    return amount


def reading_image(base, per_mb, of=None):
    """As `growing`, of a job that reads an image: of it, only what is decoded at once counts."""

    def amount(wildcards, input, attempt):
        grows = [input[of]] if of else (file for file in input if file != input.image)
        others = megabytes(grows)
        return attempt * round(base + per_mb * others + decoded_mb(input.image))

    return amount


def reading_on_demand(base, per_mb, at_most_mb=2000):
    """As `growing`, of a job that reads patches and tiles on demand: of them no more counts."""

    def amount(wildcards, input, attempt):
        on_demand = megabytes(filter(LAYOUT.is_read_on_demand, input))
        held = megabytes(input) - on_demand + min(on_demand, at_most_mb)
        return attempt * round(base + per_mb * held)

    return amount


def megabytes(files):
    # `input.size_mb` checks all files at once, which takes a fifth of a dry run's time.
    return sum(os.path.getsize(file) for file in files) / 1e6


wildcard_constraints:
    dataset=one_of(STUDY.datasets),
    section="[^/]+",
    split=one_of([*STUDY.config.splits, ALL_SECTIONS]),
    method=one_of(STUDY.config.methods),
    variant="[a-z0-9_]+",
    fold="[^/]+",
    seed="[0-9]+",
    view=one_of(STUDY.config.views),
    encoder=one_of(STUDY.encoders),
    graph=one_of(STUDY.config.graphs),
    slide=one_of(STUDY.slides),
    model=one_of(STUDY.slide_models),
    hub_model="[^/]+",
    tiles=one_of(STUDY.tile_grids),


def of_kind(kind):
    """A wildcard constraint that matches datasets with one kind of source."""
    return one_of(name for name, dataset in STUDY.datasets.items() if dataset.kind == kind)


def raw(dataset, file):
    """A raw file as an input; a module's prefix does not move a user's own file."""
    return local(file) if STUDY.datasets[dataset].kind == "local" else file


def raw_files(wildcards):
    """An input function: the files that a section is read from, by name."""
    files = STUDY.raw_files(wildcards.dataset, wildcards.section)
    return {name: raw(wildcards.dataset, file) for name, file in files.items()}


def raw_image(wildcards):
    """An input function: the image of a section."""
    return raw_files(wildcards)["image"]


def view_of(wildcards):
    """A params function: the field of view."""
    return STUDY.config.views[wildcards.view].model_dump(exclude_none=True)


def tiles_of(wildcards):
    """A params function: the grid of tiles around each spot."""
    grid = STUDY.tile_grids[wildcards.tiles]
    return {"side": grid.side, "share": grid.share}


def raw_labels(wildcards):
    """An input function: the pathologist's labels of a section; an empty list if it has none."""
    file = STUDY.label_file(wildcards.dataset, wildcards.section)
    return raw(wildcards.dataset, file) if file else []


def sheet_row(wildcards):
    """A params function: what the sample sheet says of a section."""
    return asdict(STUDY.section_row(wildcards.dataset, wildcards.section))


def source_of(wildcards):
    return STUDY.datasets[wildcards.dataset].config.source


def archive_of(wildcards):
    """The name of the archive that holds a file of the sheet."""
    sheet = STUDY.datasets[wildcards.dataset].sheet
    for name, archive in source_of(wildcards).archives.items():
        held = (PurePosixPath(file) for column in archive.holds for file in sheet[column])
        if PurePosixPath(wildcards.file) in held:
            return name
    raise WorkflowError(f"No archive of dataset {wildcards.dataset} holds {wildcards.file}.")


def weights_input(wildcards):
    """The weights of an encoder; an empty list for an encoder without weights."""
    weights = STUDY.encoders[wildcards.encoder].weights
    return LAYOUT.weights(weights) if weights else []


def score_files(wildcards):
    """Scores of the comparison or of an experiment, one file for each method, variant and seed."""
    runs = STUDY.shown(wildcards.part.lstrip("_"), dataset=wildcards.dataset)
    return list(
        dict.fromkeys(LAYOUT.cross_validation("scores.tsv", **run.cross_validation) for run in runs)
    )


def training_sections(wildcards):
    """The files of the training sections of a fold; none for a panel that all folds share."""
    if "fold" not in wildcards.keys():
        return []
    sections = STUDY.fold(**wildcards).train
    return [LAYOUT.section(wildcards.dataset, section) for section in sections]


def compared_sections(wildcards):
    """The files of the dataset's other sections: their counts are not read, so changes are not new."""
    sections = STUDY.sections_of(wildcards.dataset)
    files = [LAYOUT.section(wildcards.dataset, section) for section in sections]
    return [ancient(file) for file in files if file not in training_sections(wildcards)]


def panel_of_section(wildcards):
    """The panel of the first fold that tests a section."""
    run = STUDY.select(dataset=wildcards.dataset, tests=wildcards.section)[0]
    return STUDY.panel(run.dataset, run.split, run.fold.name)


def gene_set_of(wildcards):
    return STUDY.gene_sets(wildcards.dataset)[wildcards.gene_set]


def gene_set_files(wildcards):
    """An input function: what a set of genes is chosen from; of a list of genes, the list."""
    files = {"panels": STUDY.panels(wildcards.dataset)}
    if isinstance(gene_set_of(wildcards), FileGenes):
        return files | {"genes": local(gene_set_of(wildcards).file)}
    sections = STUDY.sections_of(wildcards.dataset)
    return files | {"sections": [LAYOUT.section(wildcards.dataset, each) for each in sections]}


def truth_of_section(wildcards):
    """The noiseless means of a simulated section."""
    simulated = STUDY.datasets[wildcards.dataset].kind == "simulation"
    return LAYOUT.simulated("truth", **wildcards) if simulated else []


def predictions_of_section(wildcards):
    """Predictions of a section by every method as configured, without variants."""
    runs = STUDY.select(dataset=wildcards.dataset, variant="full", tests=wildcards.section)
    return [LAYOUT.cross_validation("predictions.h5ad", **run.cross_validation) for run in runs]


def page_files(wildcards):
    """An input function: what the page of a section shows of its runs; a file a method."""
    runs = STUDY.viewed(**wildcards)
    if not runs:
        return {}

    def files(name):
        return [LAYOUT.cross_validation(name, **run.cross_validation) for run in runs]

    return {
        "panel": STUDY.panel(runs[0].dataset, runs[0].split, runs[0].fold.name),
        "predictions": files("predictions.h5ad"),
        "scores": files("scores.tsv"),
        "records": [
            LAYOUT.model("run.json", fold=run.fold.name, **run.cross_validation) for run in runs
        ],
    }


def page_labels(wildcards):
    """An input function: the labels of a section; an empty list if it has none."""
    labelled = STUDY.labelled(wildcards.dataset, [wildcards.section])
    return LAYOUT.labels(**wildcards) if labelled else []


def page_settings(wildcards):
    """A params function: what the page of a section shows beside its files."""
    runs = STUDY.viewed(**wildcards)
    return {
        "study": STUDY.config.name,
        "target": STUDY.datasets[wildcards.dataset].config.target,
        "reference": STUDY.config.reference,
        "split": runs[0].split if runs else "",
        "methods": [run.method for run in runs],
        **STUDY.config.viewer.model_dump(mode="json"),
    }


def figure_of(wildcards):
    return FIGURES[wildcards.figure]


def scores_of_comparison(wildcards):
    """The scores that a model card shows, if the comparison runs too; else it does not wait."""
    targets = {str(target) for target in workflow.dag_settings.targets}
    compares = not targets or targets & {"all", "comparison"}
    return LAYOUT.scores(wildcards.dataset, "") if compares and STUDY.runs else []


def known_scores(wildcards, input):
    """A params function: scores of an earlier comparison, and when they were written."""
    file = LAYOUT.scores(wildcards.dataset, "")
    if input.scores or not os.path.exists(file):
        return {}
    return {"file": file, "written": os.path.getmtime(file)}


SLIDES_ARE_SIMULATED = STUDY.config.slides is not None and STUDY.config.slides.source is not None
SLIDE_PREDICTIONS = {
    (slide, model): LAYOUT.slide("predictions.h5ad", slide, model)
    for model in STUDY.slide_models
    for slide in STUDY.slides
}


def simulation_of(wildcards):
    """A params function: settings of a simulated dataset, or of simulated slides."""
    simulated = wildcards.dataset == SIMULATED_SLIDES
    source = STUDY.config.slides.source if simulated else source_of(wildcards)
    return source.simulation.model_dump()


def slide_files(wildcards):
    """An input function: the image of a slide, and the user's own contours if there are any."""
    slide = STUDY.slides[wildcards.slide]
    if SLIDES_ARE_SIMULATED:
        return {"image": slide.image}
    files = {"image": slide.image, "tissue": slide.tissue}
    return {name: local(file) for name, file in files.items() if file}


def slide_row(wildcards):
    """A params function: what sheet and config say of a slide."""
    slides = STUDY.config.slides
    row = {
        "slide": wildcards.slide,
        "um_per_px": STUDY.slides[wildcards.slide].um_per_px,
        "grid": slides.grid,
        "pitch_um": slides.pitch_um,
    }
    return {name: value for name, value in row.items() if value is not None}


def slide_model_file(name, file):
    """A file of the model folder with which slides are predicted."""
    model = STUDY.slide_models[name]
    if model.hub is not None:
        checkpoints.fetch_model.get(hub_model=model.hub.path_name)
    path = f"{model.folder}/{file}"
    return local(path) if model.hub is None and model.fit is None else path


def slide_model_files(wildcards):
    """An input function: the files of a model folder that predictions depend on."""
    return [slide_model_file(wildcards.model, file) for file in MODEL_FILES]


def slide_weights(wildcards):
    """An input function: the weights of the encoders that a model reads."""
    slide_model_files(wildcards)
    return [LAYOUT.weights(name) for name in weights_of(STUDY.slide_models[wildcards.model])]


def slide_weight_names(wildcards):
    """A params function: the names of these weights."""
    return weights_of(STUDY.slide_models[wildcards.model])


def made_for(target):
    """The tables and figures of a target; of `all` also the folds."""
    if target == "all":
        folds = [
            LAYOUT.folds(dataset, split)
            for dataset in STUDY.datasets
            for split in STUDY.splits_of(dataset)
        ]
        return [*made_for("comparison"), *made_for("ablation"), *made_for("sensitivity"), *folds]
    return report_files(STUDY, "" if target == "comparison" else target)


def runs_for(target):
    """The records of the runs that a target shows."""
    if target == "all":
        runs = STUDY.runs
    elif target == "comparison":
        runs = STUDY.shown()
    else:
        runs = STUDY.shown(target) if target in STUDY.experiments else []
    return [LAYOUT.model("run.json", fold=run.fold.name, **run.cross_validation) for run in runs]


def files_for(target):
    """What a target asks for."""
    return [*made_for(target), *([LAYOUT.complete(target)] if runs_for(target) else [])]


def was_checked():
    """Whether the last job of a target began: then all else of it is made."""
    logs = Path(LAYOUT.log("check_runs", "all")).parent.glob("*.log")
    return any(log.stat().st_mtime > STARTED for log in logs)


def say(text):
    """Print a text; where the locale lacks a character, a question mark."""
    sys.stdout.reconfigure(errors="replace")
    print(text)


def show_comparison(write_report=False):
    """Print the table of the comparison, and where the report is or how to write it.

    Snakemake writes no report after a run that failed, so `write_report` does.
    """
    if Path(LAYOUT.start_page).is_file():
        say(f"Look at the slides: open {LAYOUT.start_page} in a browser.")
    table = Path(LAYOUT.table("txt", "comparison"))
    if not table.is_file():
        return
    say(table.read_text(encoding="utf-8"))
    arguments = [each for each in sys.argv[1:] if each != "--report-after-run"]
    if len(arguments) == len(sys.argv) - 1:
        say(f"Write the report with: {shlex.join(['snakemake', *arguments, '--report', REPORT])}")
        return
    if write_report:
        command = [*shlex.split(sys.executable), "-m", "snakemake", *arguments, "--nolock"]
        written = subprocess.run(command, capture_output=True, text=True)
        if written.returncode != 0:
            say(written.stderr)
            return
    given = [each for each in arguments if each.startswith("--report=")]
    given = given or arguments[arguments.index("--report") + 1 :]
    say(f"Report: {given[0].removeprefix('--report=')}")


def show_slides(write_tables=False):
    """Print what was predicted of the slides and what failed.

    Snakemake makes no tables of slides after one that failed, so `write_tables` does.
    """
    if write_tables and SLIDE_PREDICTIONS:
        logs = {key: LAYOUT.log("predict_slide", key[1], key[0]) for key in SLIDE_PREDICTIONS}
        tables = LAYOUT.slides("summary.tsv"), LAYOUT.slides("failed.tsv")
        write_cohort(SLIDE_PREDICTIONS, logs, *tables)
    if os.path.exists(LAYOUT.slides("summary.tsv")):
        say(f"{told(LAYOUT.slides(''))}\n")
