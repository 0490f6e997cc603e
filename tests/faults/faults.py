"""What breaks things, and who is at work when it does."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

ONE_JOB_OF_EACH_RULE = (
    "results/tiny/folds/simulated/section_out.tsv",
    "results/tiny/patches/native/simulated/A1.h5",
    "results/tiny/tables/regions.tsv",
    "results/tiny/tables/comparison.tsv",
    "results/tiny/figures/simulated/section_boxes/section_out.pdf",
    "results/tiny/figures/simulated/gene_maps/section_out/A1.jpg",
    "results/tiny/viewer/index.html",
)
"""Files that every rule of the smallest study leads to."""


def trials(number: int) -> pytest.MarkDecorator:
    """Try something so often; ``make test-faults-short`` tries it once."""
    later = [pytest.param(trial, marks=pytest.mark.long) for trial in range(1, number)]
    return pytest.mark.parametrize("trial", [0, *later])


def everything_in(folder: Path) -> set[str]:
    """Paths of all files below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class Disk:
    """A tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def mount(self, megabytes: int = 64) -> subprocess.CompletedProcess:
        return self._run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", self.folder)

    def change(self, option: str) -> None:
        """Mount it again with another option: ``size=64m``, ``ro`` or ``rw``."""
        done = self._run("mount", "-o", f"remount,{option}", self.folder)
        assert done.returncode == 0, done.stderr

    def used(self) -> int:
        return shutil.disk_usage(self.folder).used

    def unmount(self) -> None:
        self._run("umount", "--lazy", self.folder)

    def _run(self, *command: object) -> subprocess.CompletedProcess:
        return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def running_jobs(folder: Path) -> dict[int, str]:
    """Processes of jobs at work in a folder, with their rules, known by the logs they hold."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if f"{folder}/.snakemake/scripts/".encode() in entry.joinpath("cmdline").read_bytes():
                for file in entry.joinpath("fd").iterdir():
                    with suppress(ValueError):
                        log = Path(os.readlink(file)).relative_to(folder / "logs")
                        found[int(entry.name)] = log.parts[1].removesuffix(".log")
    return found
