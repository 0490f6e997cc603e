"""Fixtures that all tests share, and what a run of the tests says of those it left out."""

import copy
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from filelock import FileLock

from browsing import chromium, errors
from studies import TINY, Study

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("REG2ST_SHARED", ROOT.parent / "shared"))


SHARED_STUDIES = ("finished", "undisturbed")
"""Fixtures that all test processes share: the first to ask makes it, the others wait for it."""


def pytest_collection_modifyitems(config, items):
    """Files in an order that keeps all cores busy; no test on real sections without them."""
    items.sort(key=places(items).get)
    if not SHARED.is_dir():
        left_out = [item for item in items if "shared" in item.fixturenames]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def places(items: list[pytest.Item]) -> dict[pytest.Item, int]:
    """The place of each test: 0 if its file makes a shared study, 3 if it waits for one.

    Between them come tests that run the workflow, which are long, and then short ones.
    """

    def runs_the_workflow(item: pytest.Item) -> bool:
        return bool({"workflow", "faults"} & {*item.path.parts})

    makers, users = set(), set()
    for study in SHARED_STUDIES:
        asking = [item for item in items if study in item.fixturenames]
        users |= {item.path for item in asking}
        makers |= {item.path for item in [*filter(runs_the_workflow, asking)][:1]}

    def place(item: pytest.Item) -> int:
        if item.path in makers:
            return 0
        if item.path in users:
            return 3
        return 1 if runs_the_workflow(item) else 2

    return {item: place(item) for item in items}


def pytest_terminal_summary(terminalreporter):
    """Say in one line what was skipped and left out, and why."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
    )
    sentences = []
    if reasons:
        listed = "; ".join(f"{reason} ({number})" for reason, number in reasons.most_common())
        sentences.append(f"Skipped {reasons.total()} tests: {listed}.")
    if not SHARED.is_dir():
        sentences.append(f"Tests on real sections were left out: there is no {SHARED}.")
    if sentences:
        terminalreporter.write_line(" ".join(sentences))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real sections, which is not part of the project."""
    return SHARED


@pytest.fixture(scope="session")
def started_browser():
    driver = chromium()
    yield driver
    driver.quit()


@pytest.fixture
def browser(started_browser):
    """A headless Chromium, which has forgotten the errors of other tests."""
    errors(started_browser)
    return started_browser


@pytest.fixture(scope="session")
def new_study(root):
    """Make a study in a folder, empty or as a copy of an existing one."""

    def make(folder: Path, existing: Study | None = None) -> Study:
        if existing is None:
            return Study(root, folder, copy.deepcopy(TINY))
        shutil.copytree(existing.folder, folder, symlinks=True)
        return Study(root, folder, copy.deepcopy(existing.config))

    return make


@pytest.fixture(scope="session")
def run_once(root, tmp_path_factory, worker_id):
    """Run a study on two cores: one for all test processes, not to be changed."""
    own = tmp_path_factory.getbasetemp()

    def run(name: str, config: dict, *arguments: str, trace: bool = False) -> Study:
        folder = (own if worker_id == "master" else own.parent) / name
        study = Study(root, folder, copy.deepcopy(config))
        output = folder.with_suffix(".log")
        with FileLock(folder.with_suffix(".lock")):
            if not output.exists():
                folder.mkdir(exist_ok=True)
                done = study.run(*arguments, trace=folder.with_suffix(".trace") if trace else None)
                assert done.returncode == 0, done.stdout + done.stderr
                output.write_text(done.stdout)
        study.output = output.read_text()
        return study

    return run


@pytest.fixture(scope="session")
def finished(run_once):
    """The tiny study, finished, with its report.

    Where there is strace, its system calls are in ``finished.trace`` beside the folder.
    """
    report = ("--report", "results/tiny/report.html", "--report-after-run")
    return run_once("finished", TINY, *report, trace=shutil.which("strace") is not None)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory, worker_id):
    """A model of three simulated patients to take away, and a slide of a fourth; not to be changed.

    One for all test processes. The folder holds what ``model_folders`` wrote: ``model``, the
    weights of its encoder, and the files of the slide D1.
    """
    # Here, since it takes seconds to import torch.
    from model_folders import make_model, simulate
    from reg2st.report.model_card import describe_model

    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "fitted"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "D1.tif").exists():
            folder.mkdir(exist_ok=True)
            describe_model(make_model(folder), None)
            simulate(folder, "D1")
    return folder


@pytest.fixture
def one_thread():
    """PyTorch on one thread, as in every job."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def study(new_study, tmp_path) -> Study:
    """A study in an empty folder."""
    return new_study(tmp_path)
