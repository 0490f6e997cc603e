"""Captions of the report: every one renders, without a complaint of reStructuredText."""

import re
from types import SimpleNamespace

import jinja2
import pytest
from docutils.core import publish_parts

CAPTION = {
    "study": "her2st_six",
    "runs": "results/her2st_six/runs",
    "encoders": ["efficientnet_lite0 (native)"],
    "panels": {"her2st": "resources/panels/her2st_785.txt"},
    "presets": ["reg2st: published", "ridge: quick"],
    "seeds": [0, 1],
    "tested": {
        "her2st": {
            "section_out": "32 sections of 7 patients",
            "patient_out": "36 sections of 8 patients",
        }
    },
}
WILDCARDS = {
    "dataset": "her2st",
    "split": "section_out",
    "section": "C3",
    "experiment": "ablation",
    "method": "sprig",
}
RESTRICTED = ("spots", "workflow")
"""Captions that do not speak of runs: of raw slides, and of the report as a whole."""


def captions(root):
    return {path.stem: path.read_text() for path in (root / "workflow/report").glob("*.rst")}


def rendered(text):
    job = SimpleNamespace(
        wildcards=SimpleNamespace(**WILDCARDS),
        params=SimpleNamespace(caption=CAPTION),
        config={"name": "her2st_six"},
    )
    plain = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    return publish_parts(
        plain.render(snakemake=job), writer="html", settings_overrides={"halt_level": 2}
    )["body"]


def test_captions_render(root):
    found = captions(root)
    assert "comparison" in found
    for name, text in found.items():
        body = rendered(text)
        assert "{" not in body, name
        assert "<p>" in body, name


def test_captions_name_runs_encoder_n_and_what_was_not_done(root):
    for name, text in captions(root).items():
        body = rendered(text)
        if name in RESTRICTED:
            continue
        assert "results/her2st_six/runs" in body, name
        assert "efficientnet_lite0 (native)" in body, name
        assert "Not done:" in body, name
        assert "32 sections of 7 patients" in body, name


def test_every_caption_that_a_rule_asks_for_exists(root):
    asked = set()
    for rules in (root / "workflow/rules").glob("*.smk"):
        asked |= set(re.findall(r'caption="\.\./report/(\w+)\.rst"', rules.read_text()))
    assert asked
    assert asked <= set(captions(root))


@pytest.mark.parametrize(
    ("split", "sentence"),
    [("section_out", "sections of the same patient"), ("patient_out", "no section of its patient")],
)
def test_split_is_explained(root, monkeypatch, split, sentence):
    monkeypatch.setitem(WILDCARDS, "split", split)
    assert sentence in " ".join(rendered(captions(root)["section_boxes"]).split())


@pytest.mark.parametrize(
    ("experiment", "sentence"),
    [("ablation", "without each of its parts"), ("sensitivity", "along one setting at a time")],
)
def test_each_experiment_is_told_as_what_it_is(root, monkeypatch, experiment, sentence):
    monkeypatch.setitem(WILDCARDS, "experiment", experiment)
    for name in ("experiment_table", "experiment_figure"):
        assert sentence in " ".join(rendered(captions(root)[name]).split())
