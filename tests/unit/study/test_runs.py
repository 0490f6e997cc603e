"""The table of runs that a configuration asks for."""

import pytest
import yaml

from reg2st.base.errors import UserError
from reg2st.study.config import Dataset, read_datasets, validated
from reg2st.study.runs import Embedding, expand_runs
from reg2st.study.sheets import read_sheet

ONE = {"hidden_dim": {"full": 256}}


@pytest.fixture
def paper(root, monkeypatch):
    monkeypatch.chdir(root)
    raw = yaml.safe_load((root / "config" / "config.yaml").read_text())
    return validated(raw, root / "workflow" / "schemas" / "config.schema.yaml")


def test_the_paper_has_every_fold_of_every_method(paper):
    runs = expand_runs(paper, read_datasets(paper))
    folds = {}
    for run in runs:
        folds.setdefault((run.dataset, run.split, run.method), set()).add(run.fold.name)
    counts = {key: len(names) for key, names in folds.items()}
    for method in paper["methods"]:
        assert counts["her2st", "section_out", method] == 32
        assert counts["her2st", "patient_out", method] == 8
        assert counts["cscc", "section_out", method] == 12
        assert counts["cscc", "patient_out", method] == 4
    trainings = len(paper["methods"])
    assert len({run.directory for run in runs}) == len(runs) == 56 * trainings


def test_seeds_repeat_networks_only(paper, root):
    paper["seeds"] = [3, 4]
    paper["methods"] = {name: paper["methods"][name] for name in ("ridge", "reg2st")}
    sheet = read_sheet(root / "config" / "sections" / "cscc.tsv")
    datasets = {"cscc": Dataset("cscc", sheet, paper["datasets"]["cscc"])}
    seeds = {name: set() for name in paper["methods"]}
    for run in expand_runs(paper, datasets):
        seeds[run.method].add(run.seed)
    assert seeds == {"ridge": {3}, "reg2st": {3, 4}}


def test_variants_override_settings_and_inputs(paper):
    wide = [{"encoder": "efficientnet_lite0"}]
    paper["methods"] = {
        "reg2st": {
            "preset": "published",
            "settings": {"epochs": 7},
            "inputs": {},
            "variants": {
                "narrow": {"hidden": 128},
                "other_encoder": {"inputs": {"embeddings": wide}},
            },
        }
    }
    runs = {run.variant: run for run in expand_runs(paper, read_datasets(paper))}
    assert set(runs) == {"full", "narrow", "other_encoder"}
    assert (runs["full"].settings.hidden, runs["narrow"].settings.hidden) == (256, 128)
    assert runs["narrow"].settings.epochs == 7
    assert runs["other_encoder"].embeddings == (Embedding("efficientnet_lite0", "native"),)


def test_variants_run_on_the_splits_of_their_experiments(paper):
    variants = {name: {} for name in ("without_a_part", "wide", "both", "of_none")}
    paper["methods"] = {
        "reg2st": {"preset": "published", "settings": {}, "inputs": {}, "variants": variants}
    }
    paper["ablation"] = {
        "method": "reg2st",
        "variants": ["without_a_part", "both"],
        "splits": ["patient_out"],
    }
    curve = {"full": 256, "wide": 512, "both": 1024}
    paper["sensitivity"] = {"method": "reg2st", "curves": {"hidden_dim": curve}}
    splits = {}
    for run in expand_runs(paper, read_datasets(paper)):
        splits.setdefault(run.variant, set()).add(run.split)
    either = {"section_out", "patient_out"}
    assert splits == {
        **{name: either for name in ("full", "wide", "both", "of_none")},
        "without_a_part": {"patient_out"},
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {
                "methods": {"reg2st": {"variants": {"without_contrastive": {}}}},
                "ablation": {"variants": ["without_contrastiv"]},
            },
            "no 'without_contrastiv' (did you mean 'without_contrastive'?)",
        ),
        (
            {"sensitivity": {"curves": {"d": {"wide": 512}}}},
            "methods.reg2st.variants has no 'wide'",
        ),
        ({"ablation": {"method": "reg2nd", "variants": ["full"]}}, "no method 'reg2nd'"),
        (
            {
                "splits": ["section_out"],
                "ablation": {"variants": ["full"], "splits": ["patient_out"]},
            },
            "'patient_out' is not among the study's splits",
        ),
        ({"methods": {"reg2nd": {}}}, "no method 'reg2nd' (did you mean 'reg2st'?)"),
        ({"methods": {"reg2st": {"settings": {"epoch": 1}}}}, "unknown setting 'epoch'"),
        ({"methods": {"reg2st": {"settings": {"epochs": "many"}}}}, "setting 'epochs'"),
        ({"methods": {"reg2st": {"preset": "fast"}}}, "no preset 'fast'"),
        ({"methods": {"reg2st": {"inputs": {"patches": "wide"}}}}, "unknown view 'wide'"),
        ({"graphs": {}, "methods": {"thitogene": {}}}, "needs the graph 'nearest_4'"),
    ],
)
def test_a_wrong_method_is_one_sentence(root, monkeypatch, change, sentence):
    monkeypatch.chdir(root)
    raw = yaml.safe_load((root / "config" / "config.yaml").read_text())
    schema = root / "workflow" / "schemas" / "config.schema.yaml"
    config = validated({**raw, **change}, schema)
    with pytest.raises(UserError) as error:
        expand_runs(config, read_datasets(config))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
