import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from reg2st.base.errors import UserError
from reg2st.tools import estimate
from reg2st.tools.estimate import megabytes_to_write, price, render, wall_seconds
from reg2st.tools.plan import Job, plan
from reg2st.tools.rates import TABLE, Rate, save_rates, shipped_rates

SNAKEFILE = Path(__file__).parent / "miniature.smk"
SMALL = {
    "name": "small",
    "datasets": {"her2st": {"size": 1_000_000, "folds": ["A"]}},
    "methods": {"reg2st": 3, "ridge": 1},
}
JOBS = {"read_section": 3, "train": 2, "predict": 2, "collect": 1, "all": 1}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a study of one fold that ran."""
    folder = tmp_path_factory.mktemp("pilot")
    config = write(SMALL, folder / "config.yaml")
    command = [sys.executable, "-m", "snakemake", "--snakefile", SNAKEFILE, "--cores", "2"]
    command += ["--directory", folder, "--configfile", config]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def pilot(finished, monkeypatch):
    """Run commands in the folder of a study of one fold that ran."""
    monkeypatch.chdir(finished)


def write(config, name="config.yaml") -> Path:
    Path(name).write_text(yaml.safe_dump(config))
    return Path(name)


def job(rule="train", *, inputs=(), outputs=("model",), to_do=True, gpu=False, **traits) -> Job:
    return Job(rule, traits, inputs, outputs, "of this job.tsv", to_do, gpu)


def rate(rule="train", *, seconds=10.0, memory=100.0, inputs=0.0, outputs=(), here=True, **traits):
    return Rate(rule, traits, seconds, memory, inputs, outputs, "logs/some.tsv" if here else "")


def test_a_plan_has_the_jobs_of_snakemake_in_their_order(folder):
    config, jobs, rates = plan([write(SMALL)], snakefile=SNAKEFILE)
    assert (config, rates) == (SMALL, [])
    assert Counter(each.rule for each in jobs) == JOBS
    assert all(each.to_do for each in jobs)
    assert {each.rule for each in jobs if each.gpu} == {"train"}
    made = set()
    for each in jobs:
        assert made >= set(each.inputs)
        made |= set(each.outputs)
    ridge = next(each for each in jobs if each.traits.get("method") == "ridge")
    assert ridge.traits.items() >= {("preset", "quick"), ("epochs", "1"), ("fold", "A")}


def test_later_files_override_earlier_ones_and_targets_choose(folder):
    files = [write(SMALL), write({"methods": {"sprig": 1}}, "more.yaml")]
    config, jobs, _ = plan(files, ["results/small/sections/her2st/A.bin"], SNAKEFILE)
    assert config == {**SMALL, "methods": {"reg2st": 3, "ridge": 1, "sprig": 1}}
    (only,) = jobs
    assert (only.rule, only.traits["section"]) == ("read_section", "A")


def test_a_study_that_snakemake_refuses_is_one_sentence(folder):
    with pytest.raises(UserError, match=r"^There is no method\.$"):
        plan([write({**SMALL, "methods": {}})], snakefile=SNAKEFILE)
    with pytest.raises(UserError, match=r"No such file .*nowhere\.yaml"):
        plan([Path("nowhere.yaml")], snakefile=SNAKEFILE)


def test_a_pilot_prices_the_study(pilot):
    """What is done costs what it took; what is not, what the pilot's jobs say of its inputs."""
    _, jobs, rates = plan([write(SMALL)], snakefile=SNAKEFILE)
    assert not any(each.to_do for each in jobs)
    took = {each.benchmark: each.seconds for each in rates}
    assert len(took) == sum(JOBS.values()) - JOBS["all"]
    for cost in price(jobs, rates):
        assert cost.seconds == took.get(cost.job.benchmark, 0)
        assert cost.mark == ""

    whole = {"datasets": {"her2st": {"folds": ["A", "B", "C"]}}}
    _, jobs, rates = plan([write(SMALL), write(whole, "whole.yaml")], snakefile=SNAKEFILE)
    costs = price(jobs, rates)
    assert Counter(cost.job.rule for cost in costs if cost.job.to_do) == {
        "read_section": 1,
        "train": 4,
        "predict": 2,
        "collect": 1,
        "all": 1,
    }
    assert not any(cost.mark for cost in costs)
    disk = {cost.job.rule: cost.disk for cost in costs}
    assert disk["predict"] == pytest.approx(3 * 0.001)
    assert disk["collect"] == pytest.approx(6 * 0.001)
    # one more section, four models with their records, what the scores grow by
    records = sum(each.outputs[1] for each in rates if each.rule == "train") * 2
    added = 1 + 4 * 0.001 + records + 2 * 0.002 + 0.004
    assert megabytes_to_write(costs) == pytest.approx(added)


def test_a_training_with_a_budget_costs_it_and_once_done_what_it_took():
    rates = [rate(rule="read", seconds=2.0), rate(seconds=55.0, epochs="20", budget="60.0")]
    traits = {"preset": "quick", "epochs": "200", "budget": "60.0"}
    planned, done = price([job(**traits), job(**traits | {"epochs": "20"}, to_do=False)], rates)
    assert (planned.seconds, done.seconds) == (60.0, 55.0)


def test_another_study_prices_by_kind_epochs_and_inputs(pilot):
    other = {
        "name": "large",
        "datasets": {"cscc": {"size": 2_000_000, "folds": ["B"]}},
        "methods": {"reg2st": 30, "hist2st": 3},
    }
    _, jobs, rates = plan([write(other)], snakefile=SNAKEFILE)
    assert {each.traits["study"] for each in rates} == {"small"}
    costs = price(jobs, rates)
    assert {c.job.rule: c.disk for c in costs}["read_section"] == pytest.approx(1)  # not known
    marks = {cost.job.traits["method"]: cost.mark for cost in costs if cost.job.rule == "train"}
    assert marks == {"reg2st": "", "hist2st": "*"}
    start = min(each.seconds for each in rates)
    (reg2st,) = (each.seconds for each in rates if each.traits.get("epochs") == "3")
    seconds = next(c.seconds for c in costs if c.job.traits.get("epochs") == "30")
    assert seconds == pytest.approx(start + 10 * (reg2st - start))


@pytest.mark.parametrize(
    ("rates", "seconds", "mark"),
    [
        ([], 0, "?"),
        ([rate("predict")], 0, "?"),
        ([rate(seconds=10), rate(seconds=14), rate(seconds=30)], 14, "*"),
        ([rate(method="reg2st"), rate(method="hist2st", seconds=99)], 10, "*"),
        ([rate(method="reg2st", preset="quick"), rate(preset="published", seconds=99)], 10, ""),
        ([rate(method="reg2st"), rate(method="reg2st", preset="quick", here=False)], 10, "*"),
        (
            [
                rate(method="reg2st", preset="quick", seconds=20),
                rate(method="reg2st", preset="quick", here=False),
            ],
            20,
            "",
        ),
        (
            [
                rate(method="reg2st", preset="quick", variant="full", seconds=20),
                rate(method="reg2st", preset="quick", variant="wide"),
            ],
            20,
            "",
        ),
    ],
)
def test_a_job_is_priced_by_those_most_like_it(rates, seconds, mark, folder):
    planned = job(method="reg2st", preset="quick", variant="full")
    (cost,) = price([planned], [*rates, rate("start", seconds=1)])
    assert (cost.seconds, cost.mark) == (seconds, mark)


def test_time_and_sizes_grow_with_the_inputs(folder):
    """Starting Python takes no longer, a model is no larger, and a training holds its inputs."""
    Path("input").write_bytes(bytes(3_000_000))
    idle = rate("idle", seconds=2)
    (cost,) = price([job(inputs=["input"])], [idle, rate(inputs=1, outputs=(4,))])
    assert cost[1:4] == (2 + 3 * 8, 100, 3 * 4)
    trained = rate(inputs=1, outputs=(4,), preset="quick", epochs="5")
    (cost,) = price([job(inputs=["input"], preset="quick", epochs="10")], [idle, trained])
    assert cost[1:4] == (2 + 2 * 3 * 8, 100 + 2, 4)


def test_files_that_are_to_be_made_count_as_large_as_they_will_be(folder):
    jobs = [
        job("cut", outputs=("patches",)),
        job("embed", inputs=("patches",), outputs=("features",)),
    ]
    rates = [rate("cut", outputs=(6,)), rate("embed", inputs=2, outputs=(1,))]
    assert [cost.disk for cost in price(jobs, rates)] == [6, 3]


def test_a_job_whose_files_are_gone_still_has_a_time(folder):
    """Its outputs and memory are not known, so those of the others count."""
    gone = rate(seconds=30, memory=0)
    (cost,) = price([job()], [gone, rate(seconds=10, outputs=(4,)), rate("start", seconds=0)])
    assert cost[1:4] == (20, 100, 4)


def test_wall_time_is_bound_by_cores_devices_and_the_longest_chain(folder):
    rates = [rate("cut"), rate("train", seconds=30), rate("idle", seconds=0)]
    cuts = [job("cut", outputs=(name,)) for name in "abcd"]
    costs = price([*cuts, job(inputs=("a",), gpu=True), job(inputs=("b",), gpu=True)], rates)
    assert wall_seconds(costs, cores=1, devices=0) == 100
    assert wall_seconds(costs, cores=100, devices=1) == 60
    assert wall_seconds(costs, cores=100, devices=2) == 40
    assert wall_seconds([], cores=1, devices=0) == 0


def test_the_estimate_fits_a_terminal(folder):
    rates = [rate("train", seconds=36000, memory=2500), rate("idle", seconds=0)]
    jobs = [job(gpu=True), job(gpu=True, to_do=False), job("a_rule_never_measured", to_do=False)]
    lines = render(price(jobs, rates), cores=2, devices=0).splitlines()
    assert max(map(len, lines)) <= 80
    table = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert table["train"] == ["2", "1", "20.0", "h", "10.0", "h", "2.5", "GB", "-"]
    assert table["a_rule_never_measured"] == ["1", "0", "-", "-", "-", "-", "?"]
    assert table["GPU"][:2] == ["hours", "10.00"]
    done = render(price([job(to_do=False)], rates), cores=2, devices=0)
    assert done.endswith("Nothing is left to do.")


def test_measured_rates_are_saved_by_kind(folder):
    table = Path("rates.tsv")
    table.write_text("rule\tkind\tseconds\tmemory_mb\tinputs_mb\toutputs_mb\torigin\n")
    here = [
        rate(method="reg2st", preset="quick", fold=str(seconds), seconds=seconds, outputs=(1, 2))
        for seconds in (3, 1, 2)
    ]
    save_rates([*here, rate(method="ridge"), rate("tabulate")], "here", table)
    save_rates([rate(method="ridge", seconds=7)], "there", table)
    assert shipped_rates(table) == [
        rate("tabulate", here=False),
        rate(method="reg2st", preset="quick", seconds=2, outputs=(1, 2), here=False),
        rate(method="ridge", seconds=7, here=False),
    ]
    with open(table) as lines:
        origins = [row["origin"] for row in csv.DictReader(lines, delimiter="\t")]
    assert origins == ["here", "here", "there"]


def test_every_shipped_rate_says_where_it_was_measured():
    with open(TABLE) as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert all(row["origin"] for row in rows)
    assert len({(row["rule"], row["kind"]) for row in rows}) == len(rows) == len(shipped_rates())


def test_the_pilot_is_a_configuration_of_one_fold_a_split():
    jobs = [
        job(dataset=dataset, split=split, fold=fold)
        for dataset in ("her2st", "cscc")
        for split in ("section_out", "patient_out")
        for fold in ("A1", "B1")
    ]
    key, _, value = estimate.one_fold_of_each_split(jobs).partition("=")
    folds = {"folds": {"section_out": ["A1"], "patient_out": ["A1"]}}
    assert (key, yaml.safe_load(value)) == ("datasets", {"her2st": folds, "cscc": folds})
