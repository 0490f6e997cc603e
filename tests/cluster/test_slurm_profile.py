"""The Slurm profile on a real cluster, which trains the folds of the demo."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import TypeVar

import pytest
import slurm as cluster
import yaml

from reg2st.tools.doctor import check_slurm

PROFILE = Path(__file__).parents[2] / "workflow" / "profiles" / "slurm" / "config.v9+.yaml"
Found = TypeVar("Found")
SNAKEMAKE = (sys.executable, "-m", "snakemake")
SCORES = "results/demo/scores/simulated.parquet"

# Site facts as this test's cluster wants them, in place of the profile's commented examples.
SITE_FACTS = {
    "  # slurm_account: my_account": f"  slurm_account: {cluster.ACCOUNT}",
    "  # slurm_partition: cpu": "  slurm_partition: cpu",
    "# set-resources:": "set-resources:",
    "#   embed_section: &gpu": "  embed_section: &gpu",
    "#     slurm_partition: gpu": "    slurm_partition: gpu",
    "#     constraint: a100": "    constraint: a100",
    "#   train_network: *gpu": "  train_network: *gpu",
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


@pytest.fixture
def demo(root, tmp_path):
    """The demo's sections made and embedded; the folds that hold each out are still to be trained.

    Sections are smaller and trainings longer than the demo's, so that a training may be caught.
    """
    config = yaml.safe_load((root / "config" / "demo.yaml").read_text())
    config["datasets"]["simulated"]["source"]["simulation"]["spots"] = 40
    config["datasets"]["simulated"]["panel"]["recipe"]["min_spots"] = 10
    config["splits"] = ["section_out"]
    del config["datasets"]["simulated"]["folds"]
    del config["ablation"], config["sensitivity"]
    config["methods"] = {"reg2st": {"preset": "quick", "settings": {"epochs": 150}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    prepared = run_here(root, tmp_path, "--until", "select_panel", "embed_section", SCORES)
    assert prepared.returncode == 0, prepared.stderr
    return tmp_path


def snakemake(root: Path, profile: Path) -> list[str]:
    return [
        *(*SNAKEMAKE, "--snakefile", str(root / "workflow" / "Snakefile")),
        *("--workflow-profile", str(profile), "--configfile", "config.yaml", "--nocolor"),
    ]


def run_here(root: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [*snakemake(root, root / "workflow" / "profiles" / "default"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def start_on_slurm(
    root: Path, folder: Path, running: cluster.Slurm, target: str
) -> subprocess.Popen:
    profile = folder / "profile" / PROFILE.name
    profile.parent.mkdir()
    profile.write_text(yaml.safe_dump({**site_profile(), **HASTE}))
    with open(folder / "snakemake.log", "w") as log:
        return subprocess.Popen(
            [*snakemake(root, profile.parent), target],
            cwd=folder,
            env=running.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def wait_for(what: str, find: Callable[[], Found], folder: Path, seconds: float = 300) -> Found:
    """What ``find`` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"no {what}\n{(folder / 'snakemake.log').read_text()}"
        time.sleep(0.3)
    return found


def fold(job: cluster.Job) -> str:
    return job.wildcards.split("_")[-1]


def training(running: cluster.Slurm) -> list[cluster.Job]:
    """Jobs that are past all that needs the controller: their script runs and sees its device."""
    return [
        job
        for job in running.jobs()
        if job.rule == "train_network" and job.state == "RUNNING" and running.runs(job, "train")
    ]


def test_every_key_of_the_profile_is_an_option_of_snakemake():
    documented = subprocess.run(
        [*SNAKEMAKE, "--help"], capture_output=True, text=True, check=True
    ).stdout
    unknown = [key for key in site_profile() if f"--{key} " not in documented.replace("]", " ")]
    assert unknown == []


@pytest.mark.timeout(1200)
def test_the_demos_folds_survive_a_killed_job_and_a_restart_of_the_controller(slurm, root, demo):
    process = start_on_slurm(root, demo, slurm, SCORES)
    victim = wait_for("two trainings at once", lambda: training(slurm)[1:], demo)[0]
    slurm.kill(victim)

    def again() -> list[cluster.Job]:
        return [job for job in slurm.jobs() if (fold(job), job.memory_mb) == retried]

    retried = (fold(victim), 2 * victim.memory_mb)
    (second,) = wait_for("second attempt", again, demo)
    assert second.minutes == 2 * victim.minutes
    wait_for("training to outlast the controller", lambda: training(slurm), demo)
    slurm.stop_controller()
    time.sleep(12)
    assert process.poll() is None, (demo / "snakemake.log").read_text()
    slurm.start_controller()
    try:
        assert process.wait(600) == 0, (demo / "snakemake.log").read_text()
    finally:
        process.kill()

    jobs = slurm.jobs()
    assert {job.account for job in jobs} == {cluster.ACCOUNT}
    trainings = [job for job in jobs if job.rule == "train_network"]
    assert [(job.rule, job.gpus, job.partition) for job in jobs if job not in trainings] == [
        ("predict", 0, "cpu"),
        ("collect_scores", 0, "cpu"),
    ]
    assert {(job.gpus, job.partition) for job in trainings} == {(1, "gpu")}
    assert any(one.overlaps(other) for one, other in combinations(trainings, 2))
    done = [fold(job) for job in trainings if job.state == "COMPLETED"]
    assert sorted(done) == ["A1", "A2", "B1", "B2", "C1", "C2"], "a job was lost or ran twice"
    assert [job for job in trainings if job.state != "COMPLETED"] == [slurm.record(victim)]
    assert list((demo / "logs" / "slurm").rglob(f"{victim.identifier}.log"))
    devices = {
        re.search(r"device (\d)", log.read_text())[1]
        for log in (demo / "logs" / "demo" / "train_network").rglob("*.log")
    }
    assert devices == {"0", "1"}

    runs = demo / "results/demo/runs/simulated/section_out/reg2st/full/seed-0"
    on_slurm = (runs / "scores.tsv").read_bytes()
    shutil.rmtree(runs / f"fold-{fold(victim)}")
    (runs / "scores.tsv").unlink()
    here = run_here(root, demo, "--cores", "1", str((runs / "scores.tsv").relative_to(demo)))
    assert here.returncode == 0, here.stderr
    assert (runs / "scores.tsv").read_bytes() == on_slurm


def test_what_needs_no_gpu_asks_for_none(slurm, root, tmp_path):
    config = yaml.safe_load((root / "config" / "demo.yaml").read_text())
    simulated = config["datasets"]["simulated"]
    simulated["source"]["simulation"] |= {"patients": 2, "sections_per_patient": 1, "spots": 40}
    simulated["panel"]["recipe"]["min_spots"] = 10
    del simulated["folds"], config["ablation"], config["sensitivity"]
    config["splits"] = ["patient_out"]
    config["methods"] = {"sprig": {"inputs": {"embeddings": [{"encoder": "tissue_statistics"}]}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    model = "results/demo/runs/simulated/patient_out/sprig/full/seed-0/fold-A/model.safetensors"
    before = {"select_panel", "build_graph"}
    prepared = run_here(root, tmp_path, "--until", *before, "--", model)
    assert prepared.returncode == 0, prepared.stderr
    earlier = len(slurm.jobs())
    process = start_on_slurm(root, tmp_path, slurm, model)
    try:
        assert process.wait(300) == 0, (tmp_path / "snakemake.log").read_text()
    finally:
        process.kill()
    assert [(job.rule, job.gpus, job.partition) for job in slurm.jobs()[earlier:]] == [
        ("measure_section", 0, "cpu"),
        ("fit_regression", 0, "cpu"),
    ]


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
    profile["set-resources"]["train_network"]["slurm_partition"] = "fast"
    (failed,) = (check for check in check_slurm(profile) if check.status == "fail")
    assert "partition 'fast'" in failed.message
    assert failed.remedy == "name one of cpu, gpu"
