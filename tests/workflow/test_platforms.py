"""Sections of several platforms in one dataset, read from their own folders by the workflow."""

import anndata
import numpy as np
import pandas as pd
import pytest

from outs import Outs, stained

SHEET = """section\tpatient\tplatform\tfolder\timage\tcounts\tpicture
S1\tA\tvisium\tS1\tS1.tif\t\t
S2\tB\tvisium\tS1\t\t\thires
S3\tC\th5ad\t\tS1.tif\tS3.h5ad\t
"""
GENES = pd.DataFrame(index=["GENE1", "GENE2"])
SECTIONS = [f"results/mixed/sections/mine/{name}.h5ad" for name in ("S1", "S2", "S3")]


@pytest.fixture
def mixed(study, tmp_path):
    """A study of a Visium folder, the same by its smaller picture, and an h5ad file."""
    raw = tmp_path / "own files"
    Outs().write(raw / "S1" / "outs")
    stained().save(raw / "S1.tif")
    xy = np.random.default_rng(0).uniform(300, 700, (20, 2))
    counts = np.random.default_rng(1).poisson(2.0, (20, 2))
    anndata.AnnData(counts, var=GENES, obsm={"spatial": xy}).write_h5ad(raw / "S3.h5ad")
    (raw / "sheet.tsv").write_text(SHEET)
    study.config = {
        "name": "mixed",
        "datasets": {"mine": {"root": str(raw), "sheet": str(raw / "sheet.tsv")}},
        "methods": {"ridge": {}},
    }
    study.config["datasets"]["mine"]["panel"] = {"recipe": {"variable_genes": 5, "min_spots": 1}}
    return study, raw


def test_each_platform_is_read_from_its_own_folder(mixed):
    study, raw = mixed
    done = study.run(*SECTIONS)
    assert done.returncode == 0, done.stdout + done.stderr
    full, small, other = (anndata.read_h5ad(study.folder / path) for path in SECTIONS)
    assert [each.uns["section"]["platform"] for each in (full, small, other)] == [
        *("visium", "visium", "h5ad")
    ]
    assert (full.X != small.X).nnz == 0
    np.testing.assert_allclose(small.obsm["spatial"], full.obsm["spatial"] * 0.25)
    log = study.folder / "logs" / "mixed" / "read_section" / "mine" / "S2.log"
    assert "Space Ranger's hires picture" in log.read_text()
    assert "Warning: Section S2 is read from Space Ranger's hires picture" in done.stderr
    assert study.planned(*SECTIONS) == set()

    # A file inside a folder, and a word of the sheet, are reasons to read a section again.
    positions = raw / "S1" / "outs" / "spatial" / "tissue_positions.csv"
    positions.write_text(positions.read_text().replace("0.0", "0.5"))
    assert study.planned(SECTIONS[0]) == {"read_section"}
    assert study.planned(SECTIONS[2]) == set()
    (raw / "sheet.tsv").write_text(SHEET.replace("visium\tS1\t\t\thires", "visium\tS1\t\t\tlowres"))
    assert study.planned(SECTIONS[1]) == {"read_section"}


def test_every_table_says_what_is_doubtful_about_its_sections(mixed):
    study, _ = mixed
    study.config |= {"methods": {"train_mean": {}}, "splits": ["section_out"]}
    study.config["datasets"]["mine"]["sections"] = ["S2", "S3"]  # S1 has the counts of S2
    done = study.run("results/mixed/tables/sections.md")
    assert done.returncode == 0, done.stdout + done.stderr
    notes = (study.results / "tables" / "sections.md").read_text()
    assert "Section S2 is read from Space Ranger's hires picture" in notes
    predictions = study.results / "runs/mine/section_out/train_mean/full/seed-0"
    obs = anndata.read_h5ad(predictions / "predictions.h5ad").obs
    assert obs.loc[obs["section"] == "S3", "array_col"].isna().all()
    assert obs.loc[obs["section"] != "S3", "array_col"].notna().all()


def test_a_bad_section_leaves_nothing_behind(mixed):
    study, raw = mixed
    made = Outs()
    made.barcodes = [f"OTHER{name}" for name in made.barcodes]
    made.write_h5(raw / "S1" / "outs" / "filtered_feature_bc_matrix.h5")
    done = study.run(SECTIONS[0])
    assert done.returncode != 0
    log = study.folder / "logs" / "mixed" / "read_section" / "mine" / "S1.log"
    (line,) = log.read_text().splitlines()
    assert line.startswith("Error: Section S1: only 0 of")
    folder = study.results / "sections" / "mine"
    assert not folder.exists() or not list(folder.iterdir())
