"""Jobs that run out of memory, and devices that too many jobs want."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import pytest

HUNGRY = """
import resource, sys
from reg2st.base.jobs import job
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
with job("job.log"):
    if sys.argv[1] == "numpy":
        import numpy
        numpy.ones(2**30)
    elif sys.argv[1] == "torch":
        import torch
        torch.ones(2**30)
    else:
        list(range(2**29))
"""

RETRIED = """
rule all:
    input: "done"

rule hungry:
    output: "done"
    log: "hungry.log"
    resources: mem_mb=lambda wildcards, attempt: 200 * attempt
    script: "hungry.py"
"""

HUNGRY_SCRIPT = """
import resource
from reg2st.base.jobs import job
limit = snakemake.resources.mem_mb * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
with job(snakemake.log[0]):
    held = bytearray({megabytes} * 2**20)
    open(snakemake.output[0], "w").write(str(snakemake.resources.mem_mb))
"""

SIX_JOBS = """
rule all:
    input: expand("{k}.json", k=range(6))

rule train:
    output: "{k}.json"
    log: "{k}.log"
    resources: gpu=1
    script: "train.py"
"""

TRAIN_SCRIPT = """
import json, os, time
from reg2st.base.jobs import job
with job(snakemake.log[0]):
    from reg2st.base.devices import claimed_device
    with claimed_device():
        start = time.monotonic()
        open(snakemake.log[0] + ".pid", "w").write(f"{os.getpid()}\\n")
        time.sleep(1.5)
        held = {"device": os.environ["CUDA_VISIBLE_DEVICES"], "start": start}
        record = json.dumps({**held, "end": time.monotonic()})
    open(snakemake.output[0], "w").write(record)
"""


def snakemake(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--nocolor", "--cores", "6", *arguments]


@pytest.mark.parametrize("library", ["numpy", "torch", "python"])
def test_a_lack_of_memory_is_one_sentence(library, tmp_path):
    done = subprocess.run([sys.executable, "-c", HUNGRY, library], cwd=tmp_path)
    assert done.returncode == 1
    (sentence,) = (tmp_path / "job.log").read_text().splitlines()
    assert sentence.startswith("Error: this job ran out of memory when it held ")
    assert "mem_mb" in sentence


@pytest.mark.parametrize(("megabytes", "enough"), [(300, True), (2000, False)])
def test_a_job_without_enough_memory_gets_more_and_reports_if_that_fails(
    megabytes, enough, tmp_path
):
    (tmp_path / "Snakefile").write_text(RETRIED)
    (tmp_path / "hungry.py").write_text(HUNGRY_SCRIPT.replace("{megabytes}", str(megabytes)))
    done = subprocess.run(
        snakemake("--retries", "2", "--show-failed-logs"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "this job ran out of memory" in done.stderr
    assert "Trying to restart job" in done.stderr
    assert (done.returncode == 0) == enough
    assert (tmp_path / "done").exists() == enough
    if enough:
        assert int((tmp_path / "done").read_text()) > 300


def test_six_jobs_of_a_workflow_share_two_devices_also_after_a_kill(tmp_path):
    (tmp_path / "Snakefile").write_text(SIX_JOBS)
    (tmp_path / "train.py").write_text(TRAIN_SCRIPT)
    running = subprocess.Popen(
        snakemake("--retries", "1"),
        cwd=tmp_path,
        env={**os.environ, "REG2ST_DEVICES": "0,1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.kill(first_holder_of_a_device(tmp_path, running), signal.SIGKILL)
    assert running.wait(120) == 0
    held = [json.loads((tmp_path / f"{k}.json").read_text()) for k in range(6)]
    assert {each["device"] for each in held} == {"0", "1"}
    at_once = [
        (one, other)
        for one, other in combinations(held, 2)
        if one["start"] < other["end"] and other["start"] < one["end"]
    ]
    assert at_once, "the two devices were never used side by side"
    assert all(one["device"] != other["device"] for one, other in at_once)
    for k in range(6):
        assert (tmp_path / f"{k}.log").read_text().count("This job has device") == 1


def first_holder_of_a_device(folder: Path, snakemake: subprocess.Popen) -> int:
    """The process of the first job that got a device, which it still has for a while."""
    while True:
        assert snakemake.poll() is None
        for file in folder.glob("*.pid"):
            if (text := file.read_text()).endswith("\n"):
                return int(text)
        time.sleep(0.02)
