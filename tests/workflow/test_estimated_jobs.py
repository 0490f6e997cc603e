"""What a study will cost, told before it runs."""

import re
import subprocess
import sys

import pytest
import yaml


def told(root, study) -> subprocess.CompletedProcess:
    """What ``make estimate`` prints in the folder of a study."""
    study.command()  # writes the configuration
    return subprocess.run(
        [sys.executable, root / "scripts" / "estimate.py", "--configfile", "config.yaml"],
        cwd=study.folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", ["demo", "her2st_six", "config"])
def test_the_jobs_are_those_that_snakemake_plans(name, root, study):
    for folder in ("config", "resources"):
        (study.folder / folder).symlink_to(root / folder)
    study.config = yaml.safe_load((root / "config" / f"{name}.yaml").read_text())
    for dataset in study.config["datasets"].values():
        dataset.pop("root", None)  # a folder of one's own, which need not be there
    done = told(root, study)
    assert done.returncode == 0, done.stderr
    estimated = re.findall(r"^(\w+) +(\d+) +(\d+)", done.stdout, flags=re.MULTILINE)
    planned = study.run("--dry-run", "--quiet", "rules").stdout
    plan = re.findall(r"^(\w+) +(\d+)$", planned, flags=re.MULTILINE)
    assert len(plan) > 20
    assert {rule: to_do for rule, _, to_do in estimated if int(to_do)} == dict(plan)


def test_a_study_that_is_done_has_nothing_to_do_and_took_the_disk_that_was_told(root, finished):
    done = told(root, finished)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^total +[1-9]\d* +0$", done.stdout, flags=re.MULTILINE)
    estimated = 1e9 * float(re.search(r"^disk +([\d.]+) GB", done.stdout, re.MULTILINE)[1])
    taken = sum(
        file.stat().st_size
        for folder in ("results", "resources")
        for file in (finished.folder / folder).rglob("*")
    )
    assert estimated == pytest.approx(taken, rel=0.2)


def test_a_wrong_study_is_one_sentence(root, study):
    study.config["methods"] = {"rigde": {}}
    done = told(root, study)
    assert done.returncode == 1
    assert done.stderr == "Error: There is no method 'rigde' (did you mean 'ridge'?).\n"
