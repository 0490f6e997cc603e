"""Captions of the report: every one renders, without a complaint of reStructuredText."""

import json
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pandas as pd
import pytest
from docutils.core import publish_parts

from reg2st.report.captions import about
from reg2st.report.contents import FIGURES, TABLES
from reg2st.report.writers import Table, as_html
from reg2st.study.study import Study


@pytest.fixture(scope="module")
def study():
    simulation = {"patients": 2, "sections_per_patient": 2, "spots": 40}
    return Study.read(
        {
            "name": "small",
            "datasets": {
                "simulated": {"source": {"simulation": simulation}, "panel": {"recipe": {}}}
            },
            "inputs": {"embeddings": [{"encoder": "efficientnet_lite0"}]},
            "methods": {
                "ridge": None,
                "sprig": None,
                "reg2st": {"preset": "quick", "variants": {"wide": {"hidden": 128}}},
            },
            "ablation": {"variants": ["wide"]},
            "sensitivity": {"curves": {"hidden": ["full", "wide"]}},
        }
    )


def rendered(template, **context):
    """A template as Snakemake renders it."""
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = environment.from_string(template.read_text()).render(**context)
    return publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["html_body"]


@pytest.fixture
def caption(root, study):
    """The caption of a table or figure as plain words."""

    def render(template, **wildcards):
        job = SimpleNamespace(
            wildcards=SimpleNamespace(**wildcards), config={"about": about(study)}
        )
        body = rendered(root / "workflow" / "report" / template, snakemake=job)
        assert "{" not in body
        return " ".join(body.split())

    return render


def test_what_captions_say_is_plain(study):
    assert json.loads(json.dumps(about(study))) == about(study)


@pytest.mark.parametrize("name", TABLES)
def test_tables_say_what_they_show_from_which_runs_and_what_was_not_done(caption, name):
    body = caption("table.rst", table=name)
    assert "Not done: " in body
    assert "simulated, leave one section out: 4 sections of 2 patients" in body
    assert "results/small/runs" in body
    assert ("PCC is the Pearson correlation" in body) is TABLES[name].of_scores


@pytest.mark.parametrize("name", FIGURES)
def test_figures_say_what_they_show_from_which_runs_and_what_was_not_done(study, caption, name):
    figure = FIGURES[name]
    places = figure.all_of(study, "simulated")
    assert places
    for of in places:
        body = caption("figure.rst", dataset="simulated", figure=name, of=of)
        assert "Not done: " in body
        assert ("PCC is the Pearson correlation" in body) is figure.of_scores
        if name != "spots":
            assert "4 sections of 2 patients" in body
            assert "results/small/runs/simulated" in body


@pytest.mark.parametrize(
    ("split", "sentence"),
    [("section_out", "sections of the same patient"), ("patient_out", "no section of its patient")],
)
def test_the_split_is_explained(caption, split, sentence):
    for name, of in (("section_boxes", split), ("expected_pcc", f"{split}/sprig")):
        assert sentence in caption("figure.rst", dataset="simulated", figure=name, of=of)


@pytest.fixture
def front_page(root):
    def render(config, files=()):
        job = SimpleNamespace(config=config)
        return rendered(root / "workflow/report/workflow.rst", snakemake=job, files=files)

    return render


def test_the_first_page_has_the_comparison_table_and_the_studys_facts(front_page, study, tmp_path):
    shown = pd.DataFrame({"Method": ["Ridge & <co>"], "Mean PCC": ["0.400"], "MSE": ["0.300"]})
    table = Table("comparison", "Title", shown, shown, notes=("A note.",), brief=("Method",))
    path = tmp_path / "comparison.html"
    path.write_text(as_html(table), encoding="utf-8")
    files = [SimpleNamespace(target="comparison.html", path=path)]
    files.append(SimpleNamespace(target="sections.html", path=Path("no such file")))
    body = front_page({"about": about(study)}, files)
    assert "<td>Ridge &amp; &lt;co&gt;" in body
    assert "<p>A note.</p>" in body
    assert "<html" not in body
    for fact in ("efficientnet_lite0 (native)", "4 sections of 2 patients", "reg2st: quick"):
        assert fact in body
    assert "<table>" not in front_page({"about": about(study)})


def test_another_workflow_that_uses_this_one_has_no_first_page_of_ours(front_page):
    assert "Spatial gene expression" not in front_page({"name": "another"})
