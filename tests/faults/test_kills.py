"""Whatever is killed, the same command ends with the same results."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from faults import ONE_JOB_OF_EACH_RULE, everything_in, running_jobs, trials

pytestmark = pytest.mark.faults

# Time, machine and versions differ between two runs.
UNREPEATABLE = {
    "run.json",
    "history.tsv",
    "report.html",
    "cost.tsv",
    "cost.txt",
    "cost.md",
    "cost.tex",
    "cost.html",
}


def a_file(study, pattern: str) -> str:
    """The first file of a finished study with such a name, as Snakemake is asked for it."""
    return str(min(study.results.glob(pattern)).relative_to(study.folder))


def scores_of(study) -> str:
    """Scores that some rules, but not all, lead to."""
    return a_file(study, "runs/simulated/section_out/ridge/**/scores.tsv")


def repeatable_files(results: Path) -> dict[str, bytes]:
    """What must be the same in any two runs of a study, by path, and whatever is hidden."""
    return {
        path: (results / path).read_bytes()
        for path in everything_in(results)
        if Path(path).name not in UNREPEATABLE
        or any(part.startswith(".") for part in Path(path).parts)
    }


def assert_as_undisturbed(study, undisturbed) -> None:
    """Every file of a study, which may be a part only, is as the undisturbed study has it."""
    ours, expected = repeatable_files(study.results), repeatable_files(undisturbed.results)
    assert ours.keys() <= expected.keys(), "a half file is left"
    assert [path for path in ours if ours[path] != expected[path]] == []
    assert (study.folder / scores_of(undisturbed)).exists()


@pytest.fixture
def study(new_study, undisturbed, tmp_path):
    """The undisturbed study before its first job."""
    study = new_study(tmp_path)
    study.config = undisturbed.config
    return study


@contextmanager
def running(study, *arguments: str) -> Iterator[subprocess.Popen]:
    """Snakemake at work in a process group of its own, none of which outlives the block."""
    with open(study.folder / "snakemake.log", "a") as log:
        snakemake = subprocess.Popen(
            study.command(*arguments),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
    try:
        yield snakemake
    finally:
        with suppress(ProcessLookupError):
            os.killpg(snakemake.pid, signal.SIGKILL)
        snakemake.wait()


def said(study) -> str:
    return (study.folder / "snakemake.log").read_text()


def died(study) -> list[str]:
    """Rules whose jobs ended with an error; a job that was done when it was killed is none."""
    return re.findall(r"^Error in rule (\w+):$", said(study), re.MULTILINE)


def wait_for_a_job(study, snakemake: subprocess.Popen) -> None:
    while not running_jobs(study.folder):
        assert snakemake.poll() is None, said(study)
        time.sleep(0.02)


def wait_for_checkpoints(study, snakemake: subprocess.Popen, path: Path, number: int) -> None:
    """Until a training has saved so many checkpoints since now."""
    before = written(path)
    while number:
        assert snakemake.poll() is None, said(study)
        time.sleep(0.002)
        if (now := written(path)) not in (None, before):
            before, number = now, number - 1


def written(path: Path) -> int | None:
    """When a file was written; None if there is none."""
    with suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return None


def test_a_job_of_each_rule_is_killed_and_done_again(study, undisturbed, chance):
    with running(study, *ONE_JOB_OF_EACH_RULE, "--retries", "1") as snakemake:
        while snakemake.poll() is None:
            for process, rule in running_jobs(study.folder).items():
                if rule not in died(study):
                    time.sleep(chance.uniform(0, 0.1))
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
            time.sleep(0.02)
    assert snakemake.returncode == 0, said(study)
    logs = (undisturbed.folder / "logs" / undisturbed.config["name"]).iterdir()
    rules = {log.name.split(".")[0] for log in logs}
    killed = died(study)
    assert rules == set(killed)
    assert said(study).count("Trying to restart job") == len(killed)
    assert_as_undisturbed(study, undisturbed)
    assert study.planned(*ONE_JOB_OF_EACH_RULE) == set()


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(os.killpg, id="with its jobs", marks=pytest.mark.long),
        pytest.param(os.kill, id="alone"),
    ],
)
@trials(3)
def test_snakemake_itself_is_killed(study, undisturbed, chance, kill, trial):
    target = scores_of(undisturbed)
    with running(study, target) as snakemake:
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
    assert_as_undisturbed(study, undisturbed)


@pytest.mark.long
def test_a_second_snakemake_is_refused_and_the_first_finishes(study, undisturbed):
    target = scores_of(undisturbed)
    with running(study, target) as first:
        wait_for_a_job(study, first)
        second = study.run(target)
        assert second.returncode != 0
        assert "Directory cannot be locked" in second.stdout + second.stderr
        assert first.wait() == 0
    assert_as_undisturbed(study, undisturbed)


@trials(25)
def test_a_training_killed_at_any_moment_ends_with_the_same_bits(
    new_study, undisturbed, tmp_path, chance, trial
):
    """Killed twice; the second time it has gone on from a checkpoint."""
    study = new_study(tmp_path / "study", existing=undisturbed)
    study.config["training"] = {"checkpoint_seconds": 0}
    target = a_file(undisturbed, "runs/simulated/section_out/reg2st/**/model.safetensors")
    model = study.folder / target
    checkpoint = model.with_name("checkpoint.safetensors")
    shutil.rmtree(model.parent)
    for _ in range(2):
        with running(study, "--nolock", target) as snakemake:
            wait_for_checkpoints(study, snakemake, checkpoint, chance.randint(1, 4))
            time.sleep(chance.uniform(0, 0.02))
        assert checkpoint.exists()
        assert not model.exists()
    done = study.run("--nolock", target)
    assert done.returncode == 0, done.stdout + done.stderr
    logs = (study.folder / "logs").rglob("train_network/**/reg2st/**/*.log")
    assert any("Resuming from the checkpoint" in log.read_text() for log in logs)
    assert model.read_bytes() == (undisturbed.folder / target).read_bytes()
    assert everything_in(model.parent) <= everything_in((undisturbed.folder / target).parent)
