"""What a study will cost, by what its jobs or such jobs took."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from reg2st.tools.estimate import price
from reg2st.tools.plan import plan
from reg2st.tools.rates import shipped_rates


def estimated(*arguments: object, folder: Path) -> subprocess.CompletedProcess:
    """What the command prints in a folder."""
    command = [sys.executable, "-m", "reg2st.tools.estimate", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def counts(output: str) -> dict[str, str]:
    """Snakemake's table of jobs by rule."""
    return dict(re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE))


def sizes(files) -> float:
    return sum(Path(file).stat().st_size for file in files) / 1e6


def test_the_jobs_are_those_that_snakemake_plans(study):
    dry = study.run("--dry-run", "--quiet", "rules")
    done = estimated("--configfile", "config.yaml", folder=study.folder)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(\w+) +(\d+) +(\d+) ", done.stdout, flags=re.MULTILINE)
    assert len(rows) > 15
    assert {rule: to_do for rule, _, to_do in rows} == counts(dry.stdout + dry.stderr)
    assert max(map(len, done.stdout.split("* Not measured")[0].splitlines())) <= 80
    assert "'datasets={simulated: {folds: {patient_out: [A], section_out: [A1]}}}'" in done.stdout


def test_a_study_that_is_done_costs_what_it_took(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    _, jobs, rates = plan([finished.folder / "config.yaml"])
    costs = price(jobs, [*rates, *shipped_rates()])
    assert not any(cost.job.to_do or cost.mark for cost in costs)
    assert sum(cost.seconds for cost in costs) == pytest.approx(sum(r.seconds for r in rates))
    assert sum(c.disk for c in costs) == pytest.approx(sum(sizes(j.outputs) for j in jobs))


def test_every_job_of_the_paper_and_its_experiments_has_a_price(root, monkeypatch):
    monkeypatch.chdir(root)
    _, jobs, _ = plan([root / "config" / name for name in ("config.yaml", "experiments.yaml")])
    variants = {job.traits.get("variant") for job in jobs if job.gpu}
    assert len(variants - {None, "full"}) == 14
    assert all(cost.seconds for cost in price(jobs, shipped_rates()) if cost.job.benchmark)


def test_a_wrong_study_is_one_sentence(study):
    study.config["methods"] = {"rigde": {}}
    study.command()
    done = estimated("--configfile", "config.yaml", folder=study.folder)
    assert done.returncode == 1
    assert re.fullmatch(r"Error: .*did you mean 'ridge'\?.*\n", done.stderr)
