"""What a model says of its own predictions, from the model through the files to the tables."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from reg2st.base.errors import UserError
from reg2st.evaluation.expectation import agreement, expected_and_true
from reg2st.evaluation.scores import score_run
from reg2st.features.graphs import nearest_neighbours, write_graph
from reg2st.models.interface import FeatureBlock, Inputs
from reg2st.sections.panels import write_panel
from reg2st.sections.section_file import write_section
from reg2st.training.load import SectionFiles, load_section
from reg2st.training.predict import predict_run
from reg2st.training.train import Recipe, fit_run

GENES = [f"G{number}" for number in range(12)]
SPOTS = 60


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
            "section": {"dataset": "made", "patient": name[0], "name": name, "dropped": {}},
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
        embeddings=tuple(
            folder / f"{name}_{each}.h5" for each in ("network_stages", "tissue_statistics")
        ),
        graph=folder / f"{name}.npz",
    )


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """Folder with the predictions and scores of SPRIG and of ridge for section C1."""
    folder = tmp_path_factory.mktemp("study")
    panel = folder / "panel.txt"
    write_panel(panel, GENES, {})
    files = {name: section_files(folder, name) for name in ("A1", "A2", "B1", "C1")}
    for method in ("sprig", "ridge"):
        recipe = Recipe.parse(
            {
                "key": {
                    "dataset": "made", "split": "patient_out", "method": method,
                    "variant": "full", "preset": "published", "seed": 0, "fold": "C",
                },
                "settings": {},
                "standardise": "none",
                "precision": "float32",
            }
        )  # fmt: skip
        run = folder / method
        run.mkdir()
        training = [files[name] for name in ("A1", "A2", "B1")]
        fit_run(recipe, training, panel, run, device="cpu", checkpoint_seconds=60)
        predictions = run / "predictions.h5ad"
        predict_run(recipe, [files["C1"]], panel, run / "model.safetensors", predictions)
        score_run(recipe.key, predictions, [files["C1"].section], run / "scores.tsv")
    return folder


def test_blocks_follow_the_embeddings_of_a_section(tmp_path):
    section = load_section(
        section_files(tmp_path, "A1"), GENES, Inputs(embedding=True), with_targets=False
    )
    assert section.blocks == (
        FeatureBlock("network_stages", (3, 5)),
        FeatureBlock("tissue_statistics", (4,)),
    )
    assert section.embedding.shape == (SPOTS, 12)


def test_predictions_hold_spread_and_expected_pcc_of_a_model_that_gives_them(predicted):
    adata = anndata.read_h5ad(predicted / "sprig" / "predictions.h5ad")
    assert adata.layers["spread"].shape == adata.X.shape == (SPOTS, len(GENES))
    assert (adata.layers["spread"] > 0).all()
    assert adata.var["expected_pcc"].between(-1, 1).all()
    plain = anndata.read_h5ad(predicted / "ridge" / "predictions.h5ad")
    assert "spread" not in plain.layers
    assert "expected_pcc" not in plain.var


def test_expected_stands_beside_the_pcc_that_was_reached(predicted):
    scores = pd.read_csv(predicted / "sprig" / "scores.tsv", sep="\t")
    table = expected_and_true(scores, [predicted / "sprig" / "predictions.h5ad"])
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
    with pytest.raises(UserError, match="does not say what PCC it expects: predict anew"):
        expected_and_true(scores, [predicted / "ridge" / "predictions.h5ad"])


def test_agreement_is_undefined_where_nothing_varies():
    table = pd.DataFrame(
        {
            "section": "A1", "patient": "A", "gene": GENES,
            "expected": 0.2, "pcc": np.linspace(0, 1, len(GENES)),
        }
    )  # fmt: skip
    assert np.isnan(agreement(table)["correlation"][0])
    assert agreement(table.assign(pcc=np.nan)).empty
