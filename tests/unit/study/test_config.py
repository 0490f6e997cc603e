"""Configuration and sample sheets: what is filled in, and what a user's mistake is told."""

from copy import deepcopy

import pytest
import yaml
from snakemake.utils import update_config

from reg2st.base.errors import UserError
from reg2st.study.config import read_datasets, validated

SHEET = """section\tpatient\timage\tcounts\tspots\tum_per_px
A1\tA\tA1.jpg\tA1.tsv\tA1_spots.tsv\t0.7
B1\tB\tB1.jpg\tB1.tsv\tB1_spots.tsv\t
"""


@pytest.fixture
def schema(root):
    return root / "workflow" / "schemas" / "config.schema.yaml"


@pytest.fixture
def study(tmp_path):
    """A valid configuration over a folder of (empty) files."""
    for section in ("A1", "B1"):
        for file in (f"{section}.jpg", f"{section}.tsv", f"{section}_spots.tsv"):
            (tmp_path / file).touch()
    (tmp_path / "sheet.tsv").write_text(SHEET)
    (tmp_path / "panel.txt").write_text("ACTB\n")
    return {
        "name": "study",
        "datasets": {
            "mine": {
                "sheet": str(tmp_path / "sheet.tsv"),
                "root": str(tmp_path),
                "panel": {"file": str(tmp_path / "panel.txt")},
            }
        },
    }


def test_defaults_are_filled_in(study, schema):
    config = validated(study, schema)
    assert config["seeds"] == [0]
    assert config["inputs"]["embeddings"] == [{"encoder": "phikon_v2", "view": "native"}]
    assert config["methods"]["reg2st"] == {
        "preset": "published",
        "settings": {},
        "inputs": {},
        "variants": {},
    }
    assert "seeds" not in study, "the caller's mapping is left alone"


def test_shipped_configs_are_valid(root, schema):
    shipped = {
        path.name: yaml.safe_load(path.read_text()) for path in (root / "config").glob("*.yaml")
    }
    experiments = shipped.pop("experiments.yaml")
    assert {"config.yaml", "demo.yaml"} < shipped.keys()
    for config in shipped.values():
        validated(deepcopy(config), schema)
    update_config(shipped["config.yaml"], experiments)
    validated(shipped["config.yaml"], schema)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"methdos": {}}, "unknown key 'methdos' (did you mean 'methods'?)"),
        ({"seeds": []}, "Config, seeds:"),
        ({"seeds": "0"}, "Config, seeds: '0' is not of type 'array'"),
        ({"splits": ["slide_out"]}, "'slide_out' is not one of"),
        (
            {"methods": {"reg2st": {"setings": {}}}},
            "unknown key 'setings' (did you mean 'settings'?)",
        ),
        ({"views": {"wide": {"field": 448}}}, "unknown key 'field' (did you mean 'field_px'?)"),
        ({"name": "../elsewhere"}, "Config, name:"),
    ],
)
def test_a_wrong_config_is_one_sentence(study, schema, change, sentence):
    with pytest.raises(UserError) as error:
        validated({**study, **change}, schema)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_datasets_are_read_with_their_sheets(study, schema):
    datasets = read_datasets(validated(study, schema))
    sheet = datasets["mine"].sheet
    assert list(sheet.index) == ["A1", "B1"]
    assert sheet.at["A1", "um_per_px"] == 0.7
    assert sheet["um_per_px"].isna()["B1"]
    assert datasets["mine"].kind == "local"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("B1\tB\t", "A1\tB\t", "line 3: section 'A1' is listed twice"),
        ("B1\tB\t", "B1\t\t", "line 3: 'patient' is missing"),
        ("\tpatient\t", "\tpatinet\t", "has no column 'patient' (did you mean 'patinet'?)"),
        ("\tum_per_px", "\tum_per_pixel", "unknown column 'um_per_pixel'"),
        ("0.7", "-0.7", "line 2: um_per_px is '-0.7'"),
        ("B1.tsv", "B7.tsv", "section B1: its counts file"),
        ("B1.tsv", "../B1.tsv", "line 3: counts '../B1.tsv'"),
        ("B1.jpg", "/B1.jpg", "line 3: image '/B1.jpg'"),
        ("B1\tB\t", "B/1\tB\t", "line 3: section 'B/1'"),
    ],
)
def test_a_wrong_sheet_is_one_sentence(study, schema, tmp_path, old, new, sentence):
    (tmp_path / "sheet.tsv").write_text(SHEET.replace(old, new))
    with pytest.raises(UserError) as error:
        read_datasets(validated(study, schema))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sections": ["A1", "B2"]}, "has no section 'B2'"),
        ({"exclude": {"section_out": ["Z9"]}}, "has no section 'Z9'"),
        ({"root": "nowhere"}, "folder nowhere"),
        ({"sheet": "nowhere.tsv"}, "nowhere.tsv does not exist"),
        ({"panel": {"file": "nowhere.txt"}}, "nowhere.txt does not exist"),
    ],
)
def test_a_wrong_dataset_is_one_sentence(study, schema, change, sentence):
    study["datasets"]["mine"].update(change)
    with pytest.raises(UserError, match=sentence):
        read_datasets(validated(study, schema))


def test_a_dataset_needs_files(study, schema):
    del study["datasets"]["mine"]["root"]
    with pytest.raises(UserError, match="say where its files are"):
        read_datasets(validated(study, schema))
