"""Slides without counts, through snakemake: a cohort with a bad slide, models fitted and used."""

import json
import shutil

import anndata
import pandas as pd
import pytest

from model_folders import ENCODER

SMALL = [[[600, 600], [1100, 600], [1100, 1100], [600, 1100], [600, 600]]]


@pytest.fixture(scope="module")
def made(fitted):
    """The folder of a model and of a slide."""
    return fitted


@pytest.fixture
def cohort(study, made, tmp_path):
    """A study of five slides, of which the third is damaged."""
    raw = tmp_path / "own slides"
    raw.mkdir()
    contours = {"type": "Polygon", "coordinates": SMALL}
    (raw / "part.geojson").write_text(json.dumps(contours))
    for index in range(1, 6):
        shutil.copy(made / "D1.tif", raw / f"S{index}.tif")
    (raw / "S3.tif").write_bytes((made / "D1.tif").read_bytes()[:20_000])
    rows = [f"S{index}\tS{index}.tif\tpart.geojson" for index in range(1, 6)]
    (raw / "sheet.tsv").write_text("\n".join(["slide\timage\ttissue", *rows]))
    weights = tmp_path / "resources" / "weights" / f"{ENCODER}.safetensors"
    weights.parent.mkdir(parents=True)
    shutil.copy(made / "weights.safetensors", weights)
    study.config = {
        "name": "cohort",
        "slides": {
            "sheet": str(raw / "sheet.tsv"),
            "root": str(raw),
            "models": {"ridge": str(made / "model")},
        },
        "figures": {"genes": ["GENE0003"], "best_genes": 1},
    }
    return study, raw


def test_a_bad_slide_fails_alone_and_is_predicted_once_it_is_mended(cohort, made):
    study, raw = cohort
    done = study.run("slides")
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "Slides: 4 predicted, 1 failed" in told
    assert "failed: slide S3, model ridge: " in told
    slides = study.results / "slides"
    failed = pd.read_csv(slides / "failed.tsv", sep="\t")
    assert failed["slide"].tolist() == ["S3"]
    assert "S3.tif" in failed["reason"].item()
    summary = pd.read_csv(slides / "summary.tsv", sep="\t").set_index("slide")
    assert summary.index.tolist() == ["S1", "S2", "S4", "S5"]
    predicted = anndata.read_h5ad(slides / "ridge" / "S1" / "predictions.h5ad")
    assert summary.loc["S1", "spots"] == predicted.n_obs
    assert summary.loc["S1", "GENE0003"] == pytest.approx(
        predicted.var.loc["GENE0003", "mean"], rel=1e-4
    )
    assert not (slides / "ridge" / "S3").exists() or not list((slides / "ridge" / "S3").iterdir())
    features = json.loads((slides / "ridge" / "S1" / "spots.geojson").read_text())["features"]
    assert len(features) == predicted.n_obs
    distance, named, best = features[0]["properties"]["measurements"]
    assert (distance, named.split()[0]) == ("distance from training", "GENE0003")
    assert best.split()[0] in predicted.var_names.drop("GENE0003")
    assert (slides / "ridge" / "S1" / "maps.jpg").stat().st_size > 10_000

    shutil.copy(made / "D1.tif", raw / "S3.tif")
    assert study.planned("slides") == {"predict_slide", "draw_slide", "summarise_slides", "slides"}
    done = study.run("slides")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Slides: 5 predicted, 0 failed" in done.stdout + done.stderr
    assert study.planned("slides") == set()
    assert study.planned("results/cohort/slides/ridge/S1/spatialdata.zarr") == {"export_slide"}


def test_a_gene_that_the_model_lacks_is_one_sentence_before_any_job(cohort):
    study, _ = cohort
    study.config["figures"]["genes"] = ["GENE003"]
    done = study.run("slides")
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "model 'ridge' does not predict the gene GENE003 (did you mean 'GENE00" in told
    assert not study.results.exists()


def test_a_study_fits_a_model_and_predicts_with_it(finished, new_study, tmp_path):
    study = new_study(tmp_path / "copy", finished)
    simulation = study.config["datasets"]["simulated"]["source"]["simulation"]
    study.config["slides"] = {
        "source": {"simulation": {**simulation, "patients": 3, "sections_per_patient": 1}},
        "slides": ["C1"],
        "models": {"mine": "simulated/ridge"},
    }
    done = study.run("slides", "models")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "slide C1, model mine: mean PCC" in done.stdout + done.stderr
    card = (study.results / "models" / "simulated" / "ridge" / "README.md").read_text()
    assert "Mean PCC in patients that were left out" in card
    scores = study.results / "models" / "simulated" / "ridge" / "scores.tsv"
    assert pd.read_csv(scores, sep="\t")["sections"].max() == 4
    assert study.planned("slides", "models") == set()
