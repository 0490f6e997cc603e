"""The Slurm profile on a real cluster, with jobs that only sleep."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import slurm as cluster
import yaml

from reg2st.doctor import check_slurm

PROFILE = Path(__file__).parents[2] / "workflow" / "profiles" / "slurm" / "config.v9+.yaml"
SNAKEMAKE = (sys.executable, "-m", "snakemake")
GPU_RULES = ("embed_patches", "train_model", "predict_fold")

WORKFLOW = """
rule all:
    localrule: True
    input: expand("{kind}/{k}", kind=["embed", "train", "predict"], k=range(2)), "summary"

rule embed_patches:
    output: "embed/{k}"
    resources: gpu=1
    shell: "touch $SLURM_JOB_ID.started; sleep 5; echo $CUDA_VISIBLE_DEVICES > {output}"

use rule embed_patches as train_model with:
    output: "train/{k}"

use rule embed_patches as predict_fold with:
    output: "predict/{k}"

rule collect_scores:
    output: "summary"
    shell: "touch {output}"
"""

# Site facts as this test's cluster wants them, in place of the profile's commented examples.
SITE_FACTS = {
    "  # slurm_account: my_account": f"  slurm_account: {cluster.ACCOUNT}",
    "  # slurm_partition: cpu": "  slurm_partition: cpu",
    "# set-resources:": "set-resources:",
    "#   embed_patches: &gpu": "  embed_patches: &gpu",
    "#     slurm_partition: gpu": "    slurm_partition: gpu",
    "#     constraint: a100": "    constraint: a100",
    "#   train_model: *gpu": "  train_model: *gpu",
    "#   predict_fold: *gpu": "  predict_fold: *gpu",
}

# What a small machine without a network file system need not wait for.
HASTE = {
    "latency-wait": 5,
    "max-status-checks-per-second": 1,
    "seconds-between-status-checks": 1,
    "slurm-init-seconds-before-status-checks": 1,
}


def site_profile() -> dict:
    lines = PROFILE.read_text().splitlines()
    assert set(SITE_FACTS) <= set(lines), "the profile's examples are not those known here"
    return yaml.safe_load("\n".join(SITE_FACTS.get(line, line) for line in lines))


def start_snakemake(
    folder: Path, running: cluster.Slurm, targets: tuple[str, ...] = ()
) -> subprocess.Popen:
    profile = folder / "profile" / PROFILE.name
    profile.parent.mkdir(parents=True)
    profile.write_text(yaml.safe_dump({**site_profile(), **HASTE}))
    (folder / "Snakefile").write_text(WORKFLOW)
    with open(folder / "snakemake.log", "w") as log:
        return subprocess.Popen(
            [*SNAKEMAKE, "--workflow-profile", profile.parent, *targets],
            cwd=folder,
            env=running.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def wait_for_jobs(
    running: cluster.Slurm, seen: set[str], state: str, count: int
) -> list[cluster.Job]:
    """The new GPU jobs in a state, once there are so many."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        jobs = [
            job
            for job in running.jobs()
            if job.identifier not in seen and job.state == state and job.gpus
        ]
        if len(jobs) >= count:
            return jobs
        time.sleep(0.5)
    raise AssertionError(f"fewer than {count} jobs were ever {state}: {running.jobs()}")


def wait_until_started(folder: Path, jobs: list[cluster.Job]) -> None:
    """Return when the jobs are past all that needs the controller and do their work."""
    deadline = time.monotonic() + 60
    while not all((folder / f"{job.identifier}.started").exists() for job in jobs):
        assert time.monotonic() < deadline, (folder / "snakemake.log").read_text()
        time.sleep(0.2)


def finish(snakemake: subprocess.Popen, folder: Path, seconds: float = 240) -> str:
    try:
        code = snakemake.wait(seconds)
    finally:
        snakemake.kill()
    log = (folder / "snakemake.log").read_text()
    assert code == 0, log
    return log


def outputs(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): file.read_text().strip()
        for kind in ("embed", "train", "predict")
        for file in (folder / kind).glob("*")
    }


def test_every_key_of_the_profile_is_an_option_of_snakemake():
    documented = subprocess.run(
        [*SNAKEMAKE, "--help"], capture_output=True, text=True, check=True
    ).stdout
    unknown = [key for key in site_profile() if f"--{key} " not in documented.replace("]", " ")]
    assert unknown == []


def test_killed_job_is_resubmitted_and_every_job_has_one_gpu(slurm, tmp_path):
    seen = {job.identifier for job in slurm.jobs()}
    snakemake = start_snakemake(tmp_path, slurm)
    victim = wait_for_jobs(slurm, seen, "RUNNING", 1)[0]
    wait_until_started(tmp_path, [victim])
    assert slurm.kill(victim), "the job had no process to kill"
    log = finish(snakemake, tmp_path)

    jobs = [job for job in slurm.jobs() if job.identifier not in seen]
    assert {job.account for job in jobs} == {cluster.ACCOUNT}
    gpu_jobs = [job for job in jobs if job.rule in GPU_RULES]
    assert sorted(job.state for job in gpu_jobs) == ["COMPLETED"] * 6 + ["FAILED"]
    assert {job.gpus for job in gpu_jobs} == {1}
    assert {job.partition for job in gpu_jobs} == {"gpu"}
    assert [(job.gpus, job.partition) for job in jobs if job not in gpu_jobs] == [(0, "cpu")]
    assert any(one.overlaps(other) for one in gpu_jobs for other in gpu_jobs if one is not other), (
        "no two GPU jobs ran at once"
    )
    assert set(outputs(tmp_path).values()) == {"0", "1"}

    killed = next(job for job in gpu_jobs if job.state == "FAILED")
    assert killed.identifier == victim.identifier
    assert "Trying to restart job" in log
    again = [job for job in gpu_jobs if job.rule == killed.rule and job.start >= killed.end]
    assert (2 * killed.memory_mb, 2 * killed.minutes) in [
        (job.memory_mb, job.minutes) for job in again
    ]
    assert list((tmp_path / "logs" / "slurm").rglob(f"{killed.identifier}.log"))


def test_running_jobs_survive_a_restart_of_the_controller(slurm, tmp_path):
    seen = {job.identifier for job in slurm.jobs()}
    targets = ("train/0", "train/1", "predict/0")
    snakemake = start_snakemake(tmp_path, slurm, targets)
    wait_until_started(tmp_path, wait_for_jobs(slurm, seen, "RUNNING", 2))
    wait_for_jobs(slurm, seen, "PENDING", 1)
    slurm.stop_controller()
    time.sleep(12)
    assert snakemake.poll() is None, (tmp_path / "snakemake.log").read_text()
    slurm.start_controller()
    finish(snakemake, tmp_path)
    jobs = [job for job in slurm.jobs() if job.identifier not in seen]
    assert [job.state for job in jobs] == ["COMPLETED"] * 3, "a job was lost or ran twice"
    assert set(outputs(tmp_path)) == set(targets)


def test_cluster_leaves_nothing_behind(slurm_installed):
    system = [Path("/etc/slurm"), Path("/etc/munge"), Path("/run")]
    before = [sorted(folder.rglob("*")) for folder in system if folder.exists()]
    steps_before = step_daemons()
    running = cluster.Slurm()
    daemons = []
    with pytest.raises(AssertionError, match="a failing test"):
        fail_while_running(running, daemons)
    assert len(daemons) == 5
    assert not any(Path(f"/proc/{daemon}").exists() for daemon in daemons)
    assert running.processes() == []
    assert step_daemons() <= steps_before
    assert not running.folder.exists()
    assert [sorted(folder.rglob("*")) for folder in system if folder.exists()] == before


def step_daemons() -> set[str]:
    """Slurm's step daemons on this machine that live, whoever started them."""
    command = ["pgrep", "--runstates", "R,S,D", "slurmstepd"]
    return set(subprocess.run(command, capture_output=True, text=True).stdout.split())


def fail_while_running(running: cluster.Slurm, daemons: list[int]) -> None:
    with running:
        running.run("sbatch", "--time=5", "--output=/dev/null", "--wrap=sleep 99")
        wait_until_running(running)
        daemons.extend(daemon.pid for daemon in running.daemons.values())
        raise AssertionError("a failing test")


def wait_until_running(running: cluster.Slurm) -> None:
    deadline = time.monotonic() + 30
    while not any(job.state == "RUNNING" for job in running.jobs()):
        assert time.monotonic() < deadline, running.logs()
        time.sleep(0.2)


def test_doctor_checks_the_cluster_against_the_profile(slurm, monkeypatch):
    for variable in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(variable, slurm.environment[variable])
    found = list(check_slurm(site_profile()))
    assert [check.status for check in found] == ["ok"] * 3, found
    profile = site_profile()
    profile["set-resources"]["train_model"]["slurm_partition"] = "fast"
    (failed,) = (check for check in check_slurm(profile) if check.status == "fail")
    assert "partition 'fast'" in failed.message
    assert failed.remedy == "name one of cpu, gpu"
