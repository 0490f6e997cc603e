"""Disks that are full, closed or elsewhere, and clocks that go backwards."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    os.environ.get("REG2ST_TEST_FAULTS") != "1", reason="takes many minutes: make test-faults"
)

RUN = "runs/simulated/section_out/ridge/full/fold-A1/seed-0"
PATCHES = "patches/native/simulated/A1.h5"


def repeated(study, path: str) -> bytes:
    """What a file of the results holds once the same command has made it anew."""
    done = study.run(f"results/tiny/{path}")
    assert done.returncode == 0, done.stdout + done.stderr
    return (study.results / path).read_bytes()


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def only_sections(new_study, finished, folder: Path):
    """A study that has its sections and nothing that follows from them."""
    study = new_study(folder / "study")
    for part in ("simulated", "sections"):
        shutil.copytree(finished.results / part, study.results / part)
    return study


def test_a_full_disk_is_one_sentence_and_goes_on_when_there_is_room(
    new_study, finished, small_disk
):
    study = only_sections(new_study, finished, small_disk.folder)
    before = everything_in(study.results)
    small_disk.change(f"size={small_disk.used() + 2_000_000}")
    failed = study.run(f"results/tiny/{PATCHES}", "--retries", "0")
    told = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "No space left on device" in told
    assert "free space on that disk, then run the same command again" in told
    assert "Traceback" not in told
    assert everything_in(study.results) == before
    small_disk.change("size=64m")
    assert repeated(study, PATCHES) == (finished.results / PATCHES).read_bytes()


def test_a_disk_that_cannot_be_written_is_told_and_nothing_is_lost(new_study, finished, small_disk):
    study = only_sections(new_study, finished, small_disk.folder)
    command = study.command(f"results/tiny/{PATCHES}")
    before = everything_in(study.folder)
    small_disk.change("ro")
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode != 0
    assert "Read-only file system" in failed.stdout + failed.stderr
    assert everything_in(study.folder) == before
    small_disk.change("rw")
    assert repeated(study, PATCHES) == (finished.results / PATCHES).read_bytes()


def test_results_that_were_moved_are_gone_on_with(new_study, finished, tmp_path):
    before = new_study(tmp_path / "here", existing=finished)
    shutil.rmtree(before.results / RUN)
    before.folder.rename(tmp_path / "there")
    moved = new_study(tmp_path / "there")
    scores = f"{RUN}/scores.tsv"
    assert moved.planned(f"results/tiny/{scores}") == {
        "fit_controls",
        "predict_controls_simulated_section_out",
    }
    assert repeated(moved, scores) == (finished.results / scores).read_bytes()


def test_a_clock_that_goes_backwards_is_told_and_nothing_is_lost(
    new_study, finished, tmp_path, root
):
    """What was made before the clock was set back is now from the future."""
    study = new_study(tmp_path / "study", existing=finished)
    before = study.planned()
    tomorrow = time.time() + 24 * 3600
    for path in study.folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (tomorrow, tomorrow))
    assert study.planned() == before
    shutil.rmtree(study.results / RUN)
    failed = study.run(f"results/tiny/{RUN}/scores.tsv")
    assert failed.returncode != 0
    assert "This could indicate a clock skew problem" in failed.stdout + failed.stderr
    assert not list((study.results / RUN).glob("*"))

    text = (root / "docs" / "reliability.md").read_text()
    remedy = re.search(r"```\n(touch now .*)\n```", text)[1]
    subprocess.run(remedy, shell=True, check=True, cwd=study.folder)
    scores = repeated(study, f"{RUN}/scores.tsv")
    assert scores == (finished.results / RUN / "scores.tsv").read_bytes()
