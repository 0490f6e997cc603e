import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reg2st.base.devices import claim_device, claimed_device, visible_devices
from reg2st.base.errors import UserError

JOB = """
import json, logging, os, sys, time
from pathlib import Path
from reg2st.base.devices import claimed_device

logging.basicConfig(level=logging.INFO, format="%(message)s")
locks, record, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
with claimed_device(locks=locks):
    held = {"device": os.environ["CUDA_VISIBLE_DEVICES"], "start": time.monotonic()}
    record.with_suffix(".held").write_text(json.dumps(held))
    time.sleep(seconds)
    record.write_text(json.dumps({**held, "end": time.monotonic()}))
"""


@pytest.fixture
def environment(monkeypatch):
    for variable in ("REG2ST_DEVICES", "REG2ST_JOBS_PER_DEVICE", "SLURM_JOB_ID"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return monkeypatch


def start(tmp_path: Path, name: str, seconds: float, **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", JOB, tmp_path / "locks", tmp_path / f"{name}.json", str(seconds)],
        env={**os.environ, **variables},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(folder: Path, pattern: str) -> dict:
    """The content of the first file of a pattern, once there is one."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in folder.glob(pattern):
            if text := path.read_text():
                return json.loads(text)
        time.sleep(0.05)
    raise AssertionError(f"{folder}/{pattern} never appeared")


def overlaps(one: dict, other: dict) -> bool:
    return one["start"] < other["end"] and other["start"] < one["end"]


def shared(intervals: list[dict]) -> list[tuple[dict, dict]]:
    """Pairs of intervals that held the same device at the same time."""
    return [
        (one, other)
        for place, one in enumerate(intervals)
        for other in intervals[place + 1 :]
        if one["device"] == other["device"] and overlaps(one, other)
    ]


def test_six_jobs_share_two_devices_one_at_a_time(environment, tmp_path):
    jobs = [start(tmp_path, f"job{n}", 0.4, REG2ST_DEVICES="0,1") for n in range(6)]
    logs = [job.communicate(timeout=60)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 6
    intervals = [json.loads((tmp_path / f"job{n}.json").read_text()) for n in range(6)]
    assert {interval["device"] for interval in intervals} == {"0", "1"}
    assert shared(intervals) == []
    assert any(
        overlaps(one, other) for one in intervals for other in intervals if one is not other
    ), "the two devices were never used side by side"
    assert any("Waiting for a free device; all of 0, 1 are taken." in log for log in logs)


def test_killed_holder_leaves_nothing_locked(environment, tmp_path):
    victim = start(tmp_path, "victim", 600, REG2ST_DEVICES="0,1")
    held = wait_for(tmp_path, "victim.held")
    jobs = [start(tmp_path, f"job{n}", 0.4, REG2ST_DEVICES="0,1") for n in range(6)]
    wait_for(tmp_path, "job*.held")
    killed = {**held, "end": time.monotonic()}
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    for job in jobs:
        job.communicate(timeout=60)
    assert [job.returncode for job in jobs] == [0] * 6
    intervals = [json.loads((tmp_path / f"job{n}.json").read_text()) for n in range(6)]
    assert shared([killed, *intervals]) == []
    assert {interval["device"] for interval in intervals} == {"0", "1"}


def test_jobs_share_a_device_where_allowed(environment, tmp_path):
    variables = {"REG2ST_DEVICES": "0", "REG2ST_JOBS_PER_DEVICE": "2"}
    jobs = [start(tmp_path, f"job{n}", 1.5, **variables) for n in range(3)]
    for job in jobs:
        job.communicate(timeout=60)
    intervals = sorted(
        (json.loads((tmp_path / f"job{n}.json").read_text()) for n in range(3)),
        key=lambda interval: interval["start"],
    )
    assert overlaps(intervals[0], intervals[1])
    assert not all(overlaps(intervals[2], earlier) for earlier in intervals[:2])


def test_slurm_job_does_not_wait_for_another(environment, tmp_path):
    """Under Slurm's confinement the devices of two jobs are both numbered 0."""
    first = start(tmp_path, "first", 600, CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="1")
    wait_for(tmp_path, "first.held")
    second = start(tmp_path, "second", 0, CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="2")
    try:
        second.communicate(timeout=30)
    finally:
        first.kill()
        first.communicate()
    assert json.loads((tmp_path / "second.json").read_text())["device"] == "0"


@pytest.mark.parametrize(
    ("given", "devices"),
    [
        ("", ()),
        ("NoDevFiles", ()),
        ("2, 0", ("2", "0")),
        ("0,-1,1", ("0",)),
        ("GPU-8932f937-d72c,MIG-GPU-8932/1/2", ("GPU-8932f937-d72c", "MIG-GPU-8932/1/2")),
    ],
)
def test_visible_devices_are_read_as_cuda_does(environment, given, devices):
    environment.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible_devices() == devices


def test_without_a_driver_no_device_is_visible(environment, tmp_path):
    environment.delenv("CUDA_VISIBLE_DEVICES")
    environment.setenv("PATH", str(tmp_path))
    assert visible_devices() == ()


def test_without_devices_there_is_nothing_to_wait_for(environment, tmp_path):
    with claimed_device(locks=tmp_path / "locks") as device:
        assert device is None
    assert not (tmp_path / "locks").exists()


def test_device_that_torch_cannot_use_falls_back_to_the_cpu(environment, tmp_path, caplog):
    with claim_device(locks=tmp_path / "locks") as device:
        assert device == "cpu"
    environment.setenv("REG2ST_DEVICES", "4095")
    with claim_device(locks=tmp_path / "locks") as device:
        assert device == "cpu"
    assert "PyTorch cannot use device 4095" in caplog.text


@pytest.mark.parametrize("given", ["0", "two", ""])
def test_number_of_jobs_on_a_device_is_checked(environment, tmp_path, given):
    environment.setenv("REG2ST_DEVICES", "0")
    environment.setenv("REG2ST_JOBS_PER_DEVICE", given)
    with (
        pytest.raises(UserError, match="whole number from 1 up"),
        claimed_device(locks=tmp_path / "locks"),
    ):
        pass


def test_folder_of_locks_must_be_private(environment, tmp_path):
    environment.setenv("REG2ST_DEVICES", "0")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(0o777)
    with (
        pytest.raises(UserError, match="open to others; remove it"),
        claimed_device(locks=tmp_path / "locks"),
    ):
        pass
