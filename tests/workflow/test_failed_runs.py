"""Sections too small to train on, and runs that fail on them, in a study that ends all the same."""

import os
import subprocess

import anndata
import numpy as np
import pandas as pd
import pytest

from locales import ASCII, latin_1
from reg2st.sections.simulate.simulated_section import SectionPaths, simulate_section

FAILURE = "There is no section to train on: of the genes of the panel, B1 has 1 spot."


def write_section(folder, name, spots=None):
    """A simulated section, of which some spots with counts are left; returns its counts."""
    kinds = {
        "image": "tif",
        "counts": "tsv.gz",
        "spots": "spots",
        "labels": "labels",
        "truth": "h5",
    }
    files = {kind: folder / f"{name}.{suffix}" for kind, suffix in kinds.items()}
    size = {"patients": 2, "sections_per_patient": 1, "spots": 40}
    simulate_section(size, name, SectionPaths(**files))
    counts = pd.read_csv(files["counts"], sep="\t", index_col=0)
    places = pd.read_csv(files["spots"], sep="\t").query("selected == 1")
    names = places["x"].astype(str) + "x" + places["y"].astype(str)
    if spots is not None:
        kept = places[names.isin(counts.index[counts.any(axis=1)])].iloc[10 : 10 + spots]
        kept.to_csv(files["spots"], sep="\t", index=False)
    return counts


@pytest.fixture(scope="module")
def ended(new_study, tmp_path_factory):
    """A section of one spot beside another, a panel of one gene, and a locale of ASCII alone."""
    study = new_study(tmp_path_factory.mktemp("small"))
    counts = write_section(study.folder, "A1")
    write_section(study.folder, "B1", spots=1)
    (study.folder / "panel.txt").write_text(f"{counts.sum().idxmax()}\n1-Mar\n")
    row = "{0}1\t{0}\t{0}1.tif\t{0}1.tsv.gz\t{0}1.spots"
    sheet = "\n".join(["section\tpatient\timage\tcounts\tspots", *map(row.format, "AB")])
    (study.folder / "sheet.tsv").write_text(sheet)
    study.config = {
        "name": "small",
        "datasets": {"mine": {"root": ".", "sheet": "sheet.tsv", "panel": {"file": "panel.txt"}}},
        "splits": ["section_out"],
        "inputs": {"embeddings": [{"encoder": "tissue_statistics"}]},
        "methods": {"ridge": {}},
        "figures": {"best_genes": 0},
    }
    report = ("--report", "results/small/report.html", "--report-after-run")
    done = subprocess.run(
        study.command("comparison", *report),
        capture_output=True,
        text=True,
        encoding="ascii",
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **ASCII},
    )
    return study, done


def test_the_study_ends_with_its_tables_and_report_and_an_exit_code(ended):
    study, done = ended
    assert done.returncode == 1
    output = done.stdout + done.stderr
    assert "1 of 2 runs failed." in output
    assert f"runs/mine/section_out/ridge/full/seed-0/fold-A1: {FAILURE}" in output
    assert "Traceback" not in output
    assert "Report: results/small/report.html" in done.stdout
    assert "Correlation of predicted with observed expression" in done.stdout
    report = (study.results / "report.html").read_text(encoding="utf-8")
    assert FAILURE in report
    lack = "Section B1 is left out of training: it has 1 spot."
    assert f"Warning: {lack}" in done.stderr
    assert lack in report


def test_the_runs_that_failed_stand_below_every_table(ended):
    study, _ = ended
    for table in ("comparison", "sections", "genes", "significance", "cost"):
        text = (study.results / "tables" / f"{table}.md").read_text(encoding="utf-8")
        assert f"Failed: Ridge on mine, leave one section out, fold A1 (seed 0). {FAILURE}" in text
    costs = pd.read_csv(study.results / "tables" / "cost.tsv", sep="\t")
    assert list(costs["fold"]) == ["B1"]


def test_a_gene_that_no_section_has_is_said(ended):
    study, done = ended
    assert "Warning: 1 of 2 genes of the panel are left out, since no section has" in done.stderr
    text = (study.results / "tables" / "comparison.md").read_text(encoding="utf-8")
    assert "Left out of the panel panel.txt, since no section of mine has them: 1 genes" in text


def test_a_run_that_failed_predicts_nothing_and_the_other_one_spot(ended):
    study, _ = ended
    folder = study.results / "runs" / "mine" / "section_out" / "ridge" / "full" / "seed-0"
    adata = anndata.read_h5ad(folder / "predictions.h5ad")
    failed = (adata.obs["fold"] == "A1").to_numpy()
    assert adata.shape == (failed.sum() + 1, 1)
    assert np.isnan(adata.X[failed]).all()
    assert np.isfinite(adata.X[~failed]).all()


def test_a_figure_without_anything_to_show_says_why(ended):
    study, _ = ended
    log = study.folder / "logs/small/draw_on_slide/mine/gene_maps/section_out/B1.log"
    assert "there is no gene to map" in log.read_text(encoding="utf-8")


def test_a_table_is_the_same_in_a_locale_of_latin_1(ended, new_study, tmp_path):
    study, _ = ended
    again = new_study(tmp_path / "copy", study)
    table = again.results / "tables" / "comparison.md"
    table.unlink()
    done = subprocess.run(
        again.command(str(table.relative_to(again.folder))),
        capture_output=True,
        text=True,
        encoding="latin-1",
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **latin_1(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = table.read_text(encoding="utf-8")
    assert "–" in text
    assert text == (study.results / "tables" / "comparison.md").read_text(encoding="utf-8")


def test_only_the_check_is_left_and_a_folder_that_is_deleted_is_tried_again(ended):
    study, _ = ended
    assert study.planned("comparison") == {"check_runs", "comparison"}
    record = study.results / "runs/mine/section_out/ridge/full/seed-0/fold-A1/run.json"
    record.unlink()
    assert "fit_regression" in study.planned()
