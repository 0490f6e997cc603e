import pytest
import yaml
from safetensors.torch import load_file

from reg2st.models.interface import Sizes
from reg2st.models.registry import METHODS, method, parse_settings
from reg2st.study.config import read_datasets, validated
from reg2st.study.runs import expand_runs
from reg2st.tools.estimate import RATES, Rates, estimate, render
from reg2st.training.train import save_model


@pytest.fixture
def demo(root):
    config = yaml.safe_load((root / "config" / "demo.yaml").read_text())
    del config["ablation"], config["sensitivity"], config["methods"]["reg2st"]["variants"]
    return validated(config, root / "workflow" / "schemas" / "config.schema.yaml")


def cost_of(config, jobs=()):
    datasets = read_datasets(config)
    return estimate(config, datasets, expand_runs(config, datasets), dict(jobs))


def test_every_rate_says_where_it_was_measured():
    rows = [line.split("\t") for line in RATES.read_text().splitlines()]
    assert {len(row) for row in rows} == {5}
    assert all(all(row) for row in rows)
    assert len({(kind, name) for kind, name, *_ in rows}) == len(rows)


def test_a_rate_that_is_not_there_is_the_usual_one_or_none():
    rates = Rates()
    assert rates("job_seconds", "draw_leakage") == rates("job_seconds")
    assert rates.find("train_seconds_cpu", "a_method_of_mine:published") is None
    with pytest.raises(KeyError, match="a_method_of_mine"):
        rates("train_seconds_cpu", "a_method_of_mine:published")


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"sister_section"}))
def test_models_take_the_bytes_that_are_told(name, demo, tmp_path):
    demo["methods"] = {name: {**demo["methods"]["reg2st"], "preset": "quick"}}
    demo["splits"] = ["patient_out"]
    settings = parse_settings(name, "quick", {})
    features = 1280 if method(name).inputs(settings).embedding else 0
    model = method(name)(settings, Sizes(genes=100, features=features))
    save_model(model, tmp_path / "model.safetensors")
    saved = sum(value.nbytes for value in load_file(tmp_path / "model.safetensors").values())
    assert cost_of(demo).disk_bytes["models"] == pytest.approx(3 * saved, rel=0.001)


def test_more_spots_take_more_of_everything(demo):
    jobs = {"train_model": 36, "embed_patches": 6}
    small = cost_of(demo, jobs)
    demo["datasets"]["simulated"]["source"]["simulation"]["spots"] *= 2
    large = cost_of(demo, jobs)
    assert large.disk_bytes["patches"] == 2 * small.disk_bytes["patches"]
    assert large.memory_bytes["train_model"] > small.memory_bytes["train_model"]
    for rule in jobs:
        seconds = [cost.network_seconds["cpu"][rule] for cost in (small, large)]
        assert seconds[1] == pytest.approx(2 * seconds[0])


def test_what_runs_on_the_cpu_is_no_gpu_hour(demo):
    before = cost_of(demo)
    demo["methods"]["sprig"]["inputs"]["embeddings"] = [
        {"encoder": "tissue_statistics", "view": "native"}
    ]
    jobs = {"measure_patches": 6, "fit_regression": 6}
    after = cost_of(demo, jobs)
    assert after.network_seconds == before.network_seconds
    assert after.job_seconds["measure_patches"] == pytest.approx(6 * 1.5 + 0.032 * 651)
    training = 0.017 * 6 * (5 + 4) / 2 * 108.5
    assert after.job_seconds["fit_regression"] == pytest.approx(6 * 3 + training)


def test_what_was_not_measured_is_said(demo):
    demo["methods"] = {"hist2st": {**demo["methods"]["reg2st"], "preset": "quick"}}
    jobs = {"train_model": 9, "embed_patches": 6}
    told = render(jobs, jobs, cost_of(demo, jobs))
    assert "GPU hours  0.0 without train_model, not measured yet" in told
