"""Locks between real processes, also where the kernel refuses to lock files."""

import errno
import logging
import multiprocessing
import os
import time

import pytest

from kernel import on_x86_64, refuse_flock
from reg2st.base.locking import NO_LOCKS, alone

PROCESSES, TURNS = 4, 5


def count(folder, refused: int | None) -> None:
    """Add to a number in a file, in turn with other processes."""
    if refused:
        refuse_flock(refused)
    number = folder / "number"
    for _ in range(TURNS):
        with alone(folder / ".lock"):
            read = int(number.read_text())
            time.sleep(0.005)
            number.write_text(str(read + 1))


def counted(folder, refused: int | None) -> float:
    """Seconds that some processes take to count; each must exit well."""
    (folder / "number").write_text("0")
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=count, args=(folder, refused)) for _ in range(PROCESSES)]
    start = time.monotonic()
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0] * PROCESSES
    assert (folder / "number").read_text() == str(PROCESSES * TURNS)
    return time.monotonic() - start


def test_processes_take_turns(tmp_path):
    counted(tmp_path, None)
    assert os.listdir(tmp_path) == ["number"]


@on_x86_64
@pytest.mark.parametrize("refused", NO_LOCKS, ids=errno.errorcode.get)
def test_processes_take_turns_where_files_cannot_be_locked(tmp_path, refused):
    assert counted(tmp_path, refused) < 30
    assert os.listdir(tmp_path) == ["number"]


def said(folder, refused: int) -> None:
    logging.basicConfig(filename=folder / "log", force=True)
    count(folder, refused)


@on_x86_64
def test_that_files_cannot_be_locked_is_said(tmp_path):
    (tmp_path / "number").write_text("0")
    job = multiprocessing.get_context("fork").Process(target=said, args=(tmp_path, errno.ENOLCK))
    job.start()
    job.join()
    told = (tmp_path / "log").read_text()
    assert f"Files cannot be locked in {tmp_path} (No locks available)" in told


@on_x86_64
def test_any_other_refusal_is_an_error(tmp_path):
    job = multiprocessing.get_context("fork").Process(target=count, args=(tmp_path, errno.EIO))
    job.start()
    job.join()
    assert job.exitcode == 1
