"""What a pilot of one fold says of a whole study, against what the study took."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from reg2st.tools.estimate import price
from reg2st.tools.plan import plan

pytestmark = pytest.mark.skipif(
    "REG2ST_TEST_REGRESSION" not in os.environ, reason="needs minutes: make test-regression"
)
FACTOR = 3
"""How far off the time of a few short jobs may be on a machine that does other things too."""


def counts(output: str) -> dict[str, str]:
    """Snakemake's table of jobs by rule."""
    return dict(re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE))


def sizes(files) -> float:
    return sum(Path(file).stat().st_size for file in files) / 1e6


def test_a_pilot_of_one_fold_tells_what_all_folds_take(study, monkeypatch):
    monkeypatch.chdir(study.folder)
    for experiment in ("ablation", "sensitivity"):
        del study.config[experiment]
    study.config["splits"] = ["section_out"]
    study.config["methods"] = {"ridge": {}, "reg2st": {"preset": "quick"}}
    target = f"results/{study.config['name']}/scores/simulated.parquet"
    folds = study.config["datasets"]["simulated"]["folds"]

    folds["section_out"] = ["A1"]
    pilot = study.run(target)
    assert pilot.returncode == 0, pilot.stdout + pilot.stderr
    folds["section_out"] = ["A1", "B1"]
    study.command()  # writes the configuration
    config = [study.folder / "config.yaml"]
    _, jobs, rates = plan(config, [target])
    costs = price(jobs, rates)
    left = [cost for cost in costs if cost.job.to_do]
    assert not any(cost.mark for cost in costs)

    whole = study.run(target)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    jobs_run = counts(whole.stdout + whole.stderr)
    assert {rule: str(n) for rule, n in Counter(cost.job.rule for cost in left).items()} == {
        rule: n for rule, n in jobs_run.items() if rule != "total"
    }
    for cost in costs:
        if sizes(cost.job.outputs) > 0.1:
            assert cost.disk == pytest.approx(sizes(cost.job.outputs), rel=0.15), cost.job.outputs
    taken = {rate.benchmark: rate.seconds for rate in plan(config, [target]).rates}
    seconds = sum(taken[cost.job.benchmark] for cost in left)
    assert seconds / FACTOR < sum(cost.seconds for cost in left) < seconds * FACTOR
