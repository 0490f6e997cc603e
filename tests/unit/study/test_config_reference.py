"""The JSON schema and the tables of keys are those of the classes."""

import json
from copy import deepcopy

import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.utils import update_config

from reg2st.study.config_reference import (
    PAGE,
    SCHEMA,
    WITH_A_TABLE,
    json_schema,
    keys_of,
    with_tables,
)


@pytest.fixture(scope="module")
def schema():
    return json_schema()


def test_the_files_are_not_stale(root, schema):
    command = "run python -m reg2st.study.config_reference"
    page = (root / PAGE).read_text(encoding="utf-8")
    assert json.loads((root / SCHEMA).read_text(encoding="utf-8")) == schema, command
    assert with_tables(page) == page, command
    assert all(f"<!-- keys of {each.__name__} -->" in page for each in WITH_A_TABLE)


def test_every_key_is_explained():
    without = [
        key
        for each in WITH_A_TABLE
        for key, field in keys_of(each)
        if not (field.description and field.description.endswith("."))
    ]
    assert without == []


def test_the_schema_accepts_what_is_shipped(root, schema):
    check = Draft202012Validator(schema)
    check.check_schema(schema)
    files = (root / "config").rglob("*.yaml")
    configs = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}
    update_config(together := deepcopy(configs["config.yaml"]), configs.pop("experiments.yaml"))
    for config in (*configs.values(), together):
        check.validate(config)


@pytest.mark.parametrize(
    "wrong",
    [
        {"methdos": {}},
        {"methods": {"reg2nd": {}}},
        {"methods": {"reg2st": {"settings": {"hiden": 1}}}},
        {"methods": {"reg2st": {"settings": {"positions": "absolut"}}}},
        {"methods": {"reg2st": {"variants": {"wide": {"hidden": 0}}}}},
        {"methods": {"reg2st": {"variants": {"Wide": {}}}}},
        {"methods": {"reg2st": {"preset": "quik"}}},
        {"datasets": {"my/data": {"root": ".", "panel": {"recipe": {}}}}},
        {"seeds": [0, 0]},
        {"seeds": []},
    ],
)
def test_the_schema_refuses_what_the_classes_refuse(schema, wrong):
    good = {"name": "a", "datasets": {"mine": {"root": ".", "panel": {"recipe": {}}}}}
    good["methods"] = {"ridge": None, "reg2st": {"variants": {"same": None, "wide": {"hidden": 1}}}}
    check = Draft202012Validator(schema)
    assert check.is_valid(good)
    assert not check.is_valid({**good, **wrong})
