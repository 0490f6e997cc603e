"""Experiments: which runs they show, and the values along their curves."""

import pytest

from reg2st.study.config import read_config
from reg2st.study.experiments import read_experiments


@pytest.fixture
def study():
    variants = {"wide": {"hidden": 128}, "plain": {"contrastive": False}, "far": {"hidden": "256"}}
    return {
        "name": "study",
        "datasets": {"mine": {"root": ".", "sheet": "sheet.tsv", "panel": {"recipe": {}}}},
        "methods": {"ridge": {}, "reg2st": {"preset": "quick", "variants": variants}},
        "ablation": {"variants": ["full", "plain", "wide"], "splits": ["patient_out"]},
        "sensitivity": {"curves": {"hidden": ["far", "full", "wide"]}},
    }


def test_an_experiment_shows_its_variants_beside_the_full_method(study):
    ablation = read_experiments(read_config(study))["ablation"]
    assert (ablation.name, ablation.method) == ("ablation", "reg2st")
    assert ablation.variants == ("plain", "wide")
    assert ablation.shows("reg2st", "plain", "patient_out")
    assert ablation.shows("reg2st", "full", "patient_out")
    assert not ablation.shows("reg2st", "plain", "section_out")
    assert not ablation.shows("reg2st", "far", "patient_out")
    assert not ablation.shows("ridge", "full", "patient_out")
    assert ablation.points() == {}


def test_curves_take_their_values_from_the_settings(study):
    sensitivity = read_experiments(read_config(study))["sensitivity"]
    assert sensitivity.points() == {"hidden": {"far": 256, "full": 64, "wide": 128}}
    assert sensitivity.variants == ("far", "wide")
    assert sensitivity.splits == ("section_out", "patient_out")


def test_what_only_follows_from_a_setting_does_not_spoil_a_curve(study):
    """SPRIG chooses among the settings that are not given."""
    study["methods"]["sprig"] = {"variants": {"rank_2": {"rank": 2}}}
    study["sensitivity"] = {"method": "sprig", "curves": {"rank": ["rank_2", "full"]}}
    sensitivity = read_experiments(read_config(study))["sensitivity"]
    assert sensitivity.points() == {"rank": {"rank_2": 2, "full": 8}}


def test_the_method_is_the_reference_when_left_out(study):
    study |= {"reference": "ridge", "sensitivity": None}
    study["methods"]["ridge"] = {"variants": {"plain": {"components": 8}}}
    study["ablation"] = {"variants": ["plain"]}
    (ablation,) = read_experiments(read_config(study)).values()
    assert ablation.method == "ridge"


def test_a_study_may_have_no_experiments(study):
    del study["ablation"], study["sensitivity"]
    assert read_experiments(read_config(study)) == {}
