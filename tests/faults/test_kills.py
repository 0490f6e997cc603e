"""Whatever is killed, the same command ends with the same results."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from faults import running_jobs, trials
from reg2st.training.load import section_files
from reg2st.training.train import Recipe, fit_run

pytestmark = pytest.mark.skipif(
    os.environ.get("REG2ST_TEST_FAULTS") != "1", reason="takes many minutes: make test-faults"
)

SCORES = "runs/simulated/section_out/ridge/full/fold-A1/seed-0/scores.tsv"

# Time, machine and versions differ between two runs.
UNREPEATABLE = {
    "run.json",
    "history.tsv",
    "report.html",
    "cost.tsv",
    "cost.md",
    "cost.tex",
    "cost.html",
}


def repeatable_files(results: Path) -> dict[str, bytes]:
    """What must be the same in any two runs of a study, by path, and whatever is hidden."""
    paths = [path.relative_to(results) for path in results.rglob("*") if path.is_file()]
    return {
        str(path): (results / path).read_bytes()
        for path in paths
        if path.name not in UNREPEATABLE or any(part.startswith(".") for part in path.parts)
    }


def assert_as_undisturbed(study, finished) -> None:
    """Every file of a study, which may be a part only, is as the undisturbed study has it."""
    ours, expected = repeatable_files(study.results), repeatable_files(finished.results)
    assert ours.keys() <= expected.keys(), "a half file is left"
    assert [path for path in ours if ours[path] != expected[path]] == []
    assert (study.results / SCORES).exists()


def start(study, *arguments: str) -> subprocess.Popen:
    with open(study.folder / "snakemake.log", "a") as log:
        return subprocess.Popen(
            study.command(*arguments),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )


def wait_for_a_job(study, snakemake: subprocess.Popen) -> None:
    while not running_jobs(study.folder):
        assert snakemake.poll() is None, (study.folder / "snakemake.log").read_text()
        time.sleep(0.02)


def test_a_job_of_each_rule_is_killed_and_done_again(study, finished, chance):
    snakemake = start(study, "--retries", "1")
    killed = set()
    try:
        while snakemake.poll() is None:
            for process, rule in running_jobs(study.folder).items():
                if rule not in killed:
                    time.sleep(chance.uniform(0, 0.1))
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                        killed.add(rule)
            time.sleep(0.02)
    finally:
        snakemake.kill()
    told = (study.folder / "snakemake.log").read_text()
    assert snakemake.returncode == 0, told
    assert {log.name.split(".")[0] for log in (study.folder / "logs/tiny").iterdir()} == killed
    assert told.count("Trying to restart job") == len(killed)
    assert len(killed) > 20
    assert_as_undisturbed(study, finished)
    assert study.planned() == set()


@pytest.mark.parametrize("kill", [os.killpg, os.kill], ids=["with its jobs", "alone"])
def test_snakemake_itself_is_killed(study, finished, chance, kill):
    target = f"results/tiny/{SCORES}"
    for _ in range(trials(1, 3)):
        snakemake = start(study, target)
        wait_for_a_job(study, snakemake)
        time.sleep(chance.uniform(0, 10))
        kill(snakemake.pid, signal.SIGKILL)
        assert snakemake.wait() == -signal.SIGKILL, "it was done before it could be killed"
        refused = study.run(target)
        assert refused.returncode != 0
        assert "--unlock" in refused.stdout + refused.stderr
        assert study.run("--unlock").returncode == 0
    done = study.run(target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_as_undisturbed(study, finished)


def test_a_second_snakemake_is_sent_away_and_the_first_goes_on(study, finished):
    target = f"results/tiny/{SCORES}"
    first = start(study, target)
    wait_for_a_job(study, first)
    second = study.run(target)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout + second.stderr
    assert first.wait() == 0
    assert_as_undisturbed(study, finished)


def fit(folder: Path, sections: list[str]) -> None:
    """Train Reg2ST as its job does, saving a checkpoint after every epoch."""
    os.chdir(folder)
    results = Path("results/tiny")
    recipe = {
        "key": {"method": "reg2st", "seed": 0},
        "settings": QUICK,
        "standardise": "none",
        "precision": "float32",
    }
    files = section_files(
        [results / "sections" / "simulated" / f"{section}.h5ad" for section in sections],
        [
            results / "embeddings/efficientnet_lite0/native/simulated" / f"{section}.h5"
            for section in sections
        ],
    )
    panel = results / "panels/simulated/train_only/section_out/fold-A1.txt"
    fit_run(Recipe.parse(recipe), files, panel, Path("killed"), device="cpu", checkpoint_seconds=0)


QUICK = {"epochs": 40, "hidden": 32, "inner": 64, "blocks": 1, "positions": "none"}


@pytest.fixture(scope="module")
def processes():
    """Processes that have imported all that a training needs, so that it begins at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reg2st.training.train", "reg2st.models.reg2st"])
    return context


@pytest.mark.timeout(3600)
def test_a_training_killed_at_any_moment_ends_with_the_same_bits(
    processes, new_study, finished, tmp_path, chance
):
    study = new_study(tmp_path / "study", existing=finished)
    sections = ["A2", "B1", "B2"]
    run = study.folder / "killed"

    def train(seconds: float | None) -> float:
        """Train in a process of its own, killed after so many seconds; the seconds it took."""
        process = processes.Process(target=fit, args=(study.folder, sections))
        started = time.monotonic()
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
        else:
            assert process.exitcode == 0
        return time.monotonic() - started

    train(None)
    shutil.rmtree(run)
    whole = train(None)
    undisturbed = (run / "model.safetensors").read_bytes()
    resumed = 0
    for _ in range(trials(5, 50)):
        shutil.rmtree(run)
        train(chance.uniform(0, whole))
        resumed += (run / "checkpoint.safetensors").exists()
        train(None)
        assert (run / "model.safetensors").read_bytes() == undisturbed
        left = {path.name for path in run.iterdir()}
        assert left == {"model.safetensors", "history.tsv", "run.json"}
    assert resumed, "no kill came between two checkpoints"
