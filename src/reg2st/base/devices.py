"""One accelerator a job, claimed by a lock that the kernel releases when the process ends.

Slurm assigns devices itself; a workstation has no such tool, so jobs agree through lock files.
"""

import logging
import os
import random
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from reg2st.base.errors import UserError

log = logging.getLogger(__name__)

LOCKS = Path(f"/tmp/reg2st-devices-{os.getuid()}")
"""Not below TMPDIR, which may differ between the jobs of one user and host."""

POLL_SECONDS = 0.5


def visible_devices() -> tuple[str, ...]:
    """Identifiers of the accelerators that this process may use, as in CUDA_VISIBLE_DEVICES.

    ``REG2ST_DEVICES``, such as ``0,1``, overrides ``CUDA_VISIBLE_DEVICES``, and that overrides
    what ``nvidia-smi`` lists. As in CUDA, the first entry that names no device ends the list.
    PyTorch is not asked: it reads CUDA_VISIBLE_DEVICES only once, before a device is claimed.
    """
    for variable in ("REG2ST_DEVICES", "CUDA_VISIBLE_DEVICES"):
        if variable in os.environ:
            return _leading_devices(os.environ[variable].split(","))
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ()
    return _leading_devices(listed.stdout.split())


def _leading_devices(entries: list[str]) -> tuple[str, ...]:
    devices = []
    for entry in map(str.strip, entries):
        if not re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", entry):
            break
        devices.append(entry)
    return tuple(devices)


@contextmanager
def claimed_device(jobs_per_device: int | None = None, locks: Path = LOCKS) -> Iterator[str | None]:
    """Hold one visible accelerator, waiting until one is free; yields None where there is none.

    ``CUDA_VISIBLE_DEVICES`` names only that device from then on, so call this before the first
    use of CUDA. Within a Slurm job the locks carry the job's number, since Slurm numbers the
    devices of every job from 0.

    Args:
        jobs_per_device: jobs that may share a device; None takes ``REG2ST_JOBS_PER_DEVICE``,
            or 1.
        locks: folder of the lock files, one for each device and slot; private to the user and
            host.

    Raises:
        UserError: ``jobs_per_device`` is not a positive whole number, or other users can write
            to the folder.
    """
    devices = visible_devices()
    if not devices:
        yield None
        return
    slots = _slots(jobs_per_device)
    _make_private(locks)
    scope = f"slurm-{os.environ['SLURM_JOB_ID']}." if "SLURM_JOB_ID" in os.environ else ""
    places = [
        (device, FileLock(locks / f"{scope}{device.replace('/', '-')}.{slot}.lock"))
        for slot in range(slots)
        for device in devices
    ]
    device, lock = _first_free(places)
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        log.info("This job has device %s.", device)
        yield device
    finally:
        lock.release()


@contextmanager
def claim_device(jobs_per_device: int | None = None, locks: Path = LOCKS) -> Iterator[str]:
    """Hold one accelerator as ``claimed_device`` does; yields ``cuda``, or ``cpu`` without one."""
    with claimed_device(jobs_per_device, locks) as device:
        import torch

        usable = device is not None and torch.cuda.is_available()
        if device is None:
            log.info("No accelerator is visible; this job runs on the CPU.")
        elif not usable:
            log.warning("PyTorch cannot use device %s (see `make doctor`); using the CPU.", device)
        yield "cuda" if usable else "cpu"


def _slots(jobs_per_device: int | None) -> int:
    if jobs_per_device is None:
        given = os.environ.get("REG2ST_JOBS_PER_DEVICE", "1")
    else:
        given = str(jobs_per_device)
    if not re.fullmatch(r"[1-9]\d*", given):
        raise UserError(f"REG2ST_JOBS_PER_DEVICE is '{given}'; set it to a whole number from 1 up.")
    return int(given)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise UserError(
            f"The folder {folder} for the locks of devices belongs to another user or is open to "
            "others; remove it."
        )


def _first_free(places: list[tuple[str, FileLock]]) -> tuple[str, FileLock]:
    """Take the first free place, trying again until there is one."""
    announced = False
    while True:
        for device, lock in places:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            return device, lock
        if not announced:
            names = ", ".join(dict.fromkeys(device for device, _ in places))
            log.info("Waiting for a free device; all of %s are taken.", names)
            announced = True
        time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))
