"""Disks that are full, closed or elsewhere, and clocks that go backwards."""

import os
import re
import shutil
import subprocess
import time
from dataclasses import replace

import pytest

from faults import everything_in

pytestmark = pytest.mark.faults

PATCHES = "results/tiny/patches/native/simulated/A1.h5"


def assert_made_again(study, undisturbed, path: str) -> None:
    """The same command makes a file, with the bytes of the undisturbed study."""
    done = study.run(path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (study.folder / path).read_bytes() == (undisturbed.folder / path).read_bytes()


@pytest.fixture
def sections_alone(new_study, undisturbed, small_disk):
    """A study on a small disk that has its sections and nothing that follows from them."""
    study = new_study(small_disk.folder / "study")
    study.config = undisturbed.config
    for part in ("simulated", "sections"):
        shutil.copytree(undisturbed.results / part, study.results / part)
    return study


@pytest.fixture
def without_scores(new_study, undisturbed, tmp_path):
    """A finished study that has lost a method's models and scores, and the path of the scores."""
    study = new_study(tmp_path / "here", existing=undisturbed)
    scores = min(study.results.glob("runs/simulated/section_out/ridge/**/scores.tsv"))
    shutil.rmtree(scores.parent)
    return study, str(scores.relative_to(study.folder))


def test_a_full_disk_is_one_sentence_and_the_run_resumes_with_free_space(
    sections_alone, undisturbed, small_disk
):
    study = sections_alone
    before = everything_in(study.results)
    small_disk.change(f"size={small_disk.used() + 2_000_000}")
    failed = study.run(PATCHES, "--retries", "0")
    told = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "No space left on device" in told
    assert "free space on that disk, then run the same command again" in told
    assert "Traceback" not in told
    assert everything_in(study.results) == before
    small_disk.change("size=64m")
    assert_made_again(study, undisturbed, PATCHES)


@pytest.mark.long
def test_a_read_only_disk_is_reported_and_nothing_is_lost(sections_alone, undisturbed, small_disk):
    study = sections_alone
    command = study.command(PATCHES)
    before = everything_in(study.folder)
    small_disk.change("ro")
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode != 0
    assert "Read-only file system" in failed.stdout + failed.stderr
    assert everything_in(study.folder) == before
    small_disk.change("rw")
    assert_made_again(study, undisturbed, PATCHES)


@pytest.mark.long
def test_moved_results_are_used_again(without_scores, undisturbed, tmp_path):
    study, scores = without_scores
    plan = study.planned(scores)
    assert plan
    study.folder.rename(tmp_path / "there")
    moved = replace(study, folder=tmp_path / "there")
    assert moved.planned(scores) == plan
    assert_made_again(moved, undisturbed, scores)


@pytest.mark.long
def test_a_clock_set_back_is_reported_and_nothing_is_lost(without_scores, undisturbed, root):
    """What was made before the clock was set back is now from the future."""
    study, scores = without_scores
    plan = study.planned(scores)
    tomorrow = time.time() + 24 * 3600
    for path in study.folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (tomorrow, tomorrow))
    assert study.planned(scores) == plan
    failed = study.run(scores)
    assert failed.returncode != 0
    assert "This could indicate a clock skew problem" in failed.stdout + failed.stderr
    assert everything_in((study.folder / scores).parent) == set()

    text = (root / "docs" / "how-to" / "resume.md").read_text()
    remedy = re.search(r"```\n(touch now .*)\n```", text)[1]
    subprocess.run(remedy, shell=True, check=True, cwd=study.folder)
    assert_made_again(study, undisturbed, scores)
