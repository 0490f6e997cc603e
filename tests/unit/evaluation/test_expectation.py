"""What a model says of its own predictions, from the model through the files to the tables."""

from functools import partial

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from reg2st.base.errors import UserError
from reg2st.evaluation.expectation import agreement, expected_and_true
from reg2st.evaluation.scores import score_folds
from reg2st.features.graphs import nearest_neighbours, write_graph
from reg2st.models.interface import FeatureBlock
from reg2st.sections.panels import write_panel
from reg2st.sections.section_file import write_section
from reg2st.study.specification import RunSpec, SectionFiles
from reg2st.training.load import load_sections
from reg2st.training.predict import predict_folds
from reg2st.training.train import train_run
from sections import about

GENES = [f"G{number}" for number in range(12)]
SPOTS = 60
SOURCES = (
    {"encoder": "network_stages", "view": "near", "field_px": 224},
    {"encoder": "tissue_statistics", "view": "far", "field_px": 448},
)


def section_files(folder, name: str) -> SectionFiles:
    """A section of two programs that its first embedding shows; the second is noise."""
    rng = np.random.default_rng(list(name.encode()))
    xy = np.stack(np.divmod(np.arange(SPOTS), 10), axis=1)
    programs = np.sin(xy * [0.5, 0.7] + rng.uniform(0, 6, 2))
    effects = np.random.default_rng(0).normal(0, 1, (2, len(GENES)))
    counts = rng.poisson(np.exp(2 + programs @ effects * np.linspace(0, 1, len(GENES))))
    barcodes = [f"{x}x{y}" for x, y in xy]
    adata = anndata.AnnData(
        X=scipy.sparse.csr_matrix(counts.astype(np.float32)),
        obs=pd.DataFrame({"array_row": xy[:, 1], "array_col": xy[:, 0]}, index=barcodes),
        var=pd.DataFrame(index=GENES),
        obsm={"spatial": xy * 100.0},
        uns={
            "section": about(name, "made", name[0]),
            "spatial": {
                name: {
                    "images": {"hires": np.zeros((4, 4, 3), np.uint8)},
                    "scalefactors": {"tissue_hires_scalef": 0.1, "spot_diameter_fullres": 80.0},
                    "metadata": {"source_image_path": "slide.tif"},
                }
            },
        },
    )
    write_section(adata, folder / f"{name}.h5ad")
    shown = programs @ np.random.default_rng(1).normal(size=(2, 8)) + rng.normal(size=(SPOTS, 8))
    for encoder, features, groups in (
        ("network_stages", shown, (3, 5)),
        ("tissue_statistics", rng.normal(size=(SPOTS, 4)), (4,)),
    ):
        with h5py.File(folder / f"{name}_{encoder}.h5", "w") as file:
            file["embeddings"] = features.astype(np.float32)
            file.create_dataset("barcode", data=barcodes, dtype=h5py.string_dtype())
            file["coords"] = xy
            file.attrs.update({"encoder": encoder, "groups": groups})
    write_graph(folder / f"{name}.npz", nearest_neighbours(xy, 8, 1.5), SPOTS)
    return SectionFiles(
        section=folder / f"{name}.h5ad",
        features=[folder / f"{name}_{source['encoder']}.h5" for source in SOURCES],
        graph=folder / f"{name}.npz",
    )


def a_run(method: str, panel):
    """A run of a method with its published settings; sections and model are still to be given."""
    return partial(
        RunSpec,
        key={
            "dataset": "made", "split": "patient_out", "method": method,
            "variant": "full", "preset": "published", "seed": 0, "fold": "C",
        },
        settings={},
        features=SOURCES,
        standardise="none",
        target="paper",
        precision="float32",
        panel=panel,
    )  # fmt: skip


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """Folder with the predictions and scores of SPRIG and of ridge for section C1."""
    folder = tmp_path_factory.mktemp("study")
    panel = folder / "panel.txt"
    write_panel(panel, GENES, {})
    files = {name: section_files(folder, name) for name in ("A1", "A2", "B1", "C1")}
    for method in ("sprig", "ridge"):
        run, out = a_run(method, panel), folder / method
        out.mkdir()
        trained = [files[name] for name in ("A1", "A2", "B1")]
        train_run(run(sections=trained), out, device="cpu", checkpoint_seconds=60)
        tests = [run(sections=[files["C1"]], model=out / "model.safetensors")]
        predict_folds(tests, out / "predictions.h5ad")
        score_folds(tests, out / "predictions.h5ad", out / "scores.tsv")
    return folder


def test_blocks_follow_the_embeddings_of_a_section(tmp_path):
    run = a_run("ridge", tmp_path / "panel.txt")(sections=[section_files(tmp_path, "A1")])
    (section,) = load_sections(run, with_targets=False)
    assert section.blocks == (
        FeatureBlock("network_stages", (3, 5), "near"),
        FeatureBlock("tissue_statistics", (4,), "far"),
    )
    assert section.embedding.shape == (SPOTS, 12)


def test_predictions_hold_spread_and_expected_pcc_of_a_model_that_gives_them(predicted):
    adata = anndata.read_h5ad(predicted / "sprig" / "predictions.h5ad")
    assert adata.layers["spread"].shape == adata.X.shape == (SPOTS, len(GENES))
    assert (adata.layers["spread"] > 0).all()
    assert adata.varm["expected_pcc"]["C"].between(-1, 1).all()
    plain = anndata.read_h5ad(predicted / "ridge" / "predictions.h5ad")
    assert "spread" not in plain.layers
    assert "expected_pcc" not in plain.varm


def test_expected_stands_beside_the_pcc_that_was_reached(predicted):
    scores = pd.read_csv(predicted / "sprig" / "scores.tsv", sep="\t")
    table = expected_and_true(scores, predicted / "sprig" / "predictions.h5ad")
    assert list(table.columns) == ["section", "patient", "gene", "expected", "pcc"]
    assert list(table["gene"]) == GENES
    np.testing.assert_array_equal(table["pcc"], scores["pcc"])
    (row,) = agreement(table).itertuples()
    assert row.section == "C1"
    assert row.correlation == pytest.approx(np.corrcoef(table["expected"], table["pcc"])[0, 1])
    assert row.correlation > 0.5
    assert row.mean_pcc == pytest.approx(scores["pcc"].mean())


def test_a_model_that_expects_nothing_is_one_sentence(predicted):
    scores = pd.read_csv(predicted / "ridge" / "scores.tsv", sep="\t")
    with pytest.raises(UserError, match="holds no expected PCC; delete it and predict again"):
        expected_and_true(scores, predicted / "ridge" / "predictions.h5ad")


def test_agreement_is_undefined_where_nothing_varies():
    table = pd.DataFrame(
        {
            "section": "A1", "patient": "A", "gene": GENES,
            "expected": 0.2, "pcc": np.linspace(0, 1, len(GENES)),
        }
    )  # fmt: skip
    assert np.isnan(agreement(table)["correlation"][0])
    assert agreement(table.assign(pcc=np.nan)).empty
