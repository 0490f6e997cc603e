"""Slides without counts: predicted from a model folder alone, refused, flagged."""

import json
import shutil
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from model_folders import ENCODER, GENES
from reg2st.base.errors import UserError
from reg2st.evaluation.slide_truth import score_slide
from reg2st.models.model_folder import NEEDED, read_description
from reg2st.report.model_card import describe_model
from reg2st.sections.spatialdata_store import write_spatialdata
from reg2st.training.slide_embedding import SlideFiles
from reg2st.training.slide_prediction import SlideRow, predict_slide


@pytest.fixture(scope="module")
def made(fitted):
    """The folder with a model of three simulated patients, and a slide of a fourth."""
    return fitted


def predict(made: Path, out: Path, image: Path | None = None, **said) -> anndata.AnnData:
    model, tissue = said.pop("model", made / "model"), said.pop("tissue", None)
    weights = {ENCODER: said.pop("weights", made / "weights.safetensors")}
    files = SlideFiles(image or made / "D1.tif", model, weights, tissue)
    contours = out / "tissue.geojson"
    predict_slide(SlideRow(slide="D1", **said), files, out / "D1.h5ad", contours, device="cpu")
    return anndata.read_h5ad(out / "D1.h5ad")


@pytest.fixture(scope="module")
def predicted(made, tmp_path_factory):
    return predict(made, tmp_path_factory.mktemp("out"))


def test_predictions_say_where_what_and_by_which_model(made, predicted):
    assert predicted.var_names.tolist() == GENES
    assert 20 < predicted.n_obs < 60
    assert np.isfinite(predicted.X).all()
    np.testing.assert_allclose(predicted.var["mean"], predicted.X.mean(axis=0), rtol=1e-5)
    about = predicted.uns["section"]
    assert (about["um_per_px"], about["spot_pitch_um"]) == (0.5, pytest.approx(120))
    assert predicted.uns["slide"]["tissue_mm2"] == pytest.approx(predicted.n_obs * 0.12**2, rel=0.2)
    assert predicted.uns["model"]["method"] == "ridge"
    assert predicted.uns["target"] == "paper"


def test_a_copy_of_the_model_folder_alone_gives_the_same_bits(made, predicted, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(made / "model", copy)
    again = predict(made, tmp_path, model=copy)
    np.testing.assert_array_equal(again.X, predicted.X)
    np.testing.assert_array_equal(again.obs["distance"], predicted.obs["distance"])


def test_scanpy_and_squidpy_draw_it(predicted, tmp_path):
    import scanpy
    import squidpy

    scanpy.pp.pca(predicted, n_comps=5)
    squidpy.gr.spatial_neighbors(predicted, coord_type="generic", n_neighs=4)
    squidpy.pl.spatial_scatter(predicted, color=GENES[0], save=str(tmp_path / "map.png"))
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_spatialdata_holds_the_predictions_on_the_slide(made, tmp_path):
    spatialdata = pytest.importorskip("spatialdata", reason="spatialdata is not installed")
    expected = predict(made, tmp_path)
    write_spatialdata(
        tmp_path / "D1.h5ad", made / "D1.tif", tmp_path / "D1.zarr", table_name="predictions"
    )
    store = spatialdata.read_zarr(tmp_path / "D1.zarr")
    np.testing.assert_array_equal(store["predictions"].X, expected.X)
    assert store["predictions"].obs_names.tolist() == expected.obs_names.tolist()
    centres = np.column_stack([store["spots"].geometry.x, store["spots"].geometry.y])
    np.testing.assert_allclose(centres, expected.obsm["spatial"])
    assert "slide" in store.images


def test_a_simulated_slide_is_compared_with_its_truth(made, predicted, tmp_path):
    predicted.write_h5ad(tmp_path / "D1.h5ad")
    score_slide(tmp_path / "D1.h5ad", made / "D1.truth", made / "D1.spots", tmp_path / "truth.tsv")
    scores = pd.read_csv(tmp_path / "truth.tsv", sep="\t")
    assert scores["gene"].tolist() == GENES
    assert scores["pcc"].mean() > 0.2


def test_a_denser_grid_agrees_with_the_training_grid(made, predicted, tmp_path):
    dense = predict(made, tmp_path, pitch_um=60.0)
    assert dense.n_obs == pytest.approx(4 * predicted.n_obs, rel=0.15)
    assert dense.uns["section"]["spot_diameter_um"] == 60.0


def test_own_contours_win(made, tmp_path):
    square = [[[300, 300], [900, 300], [900, 900], [300, 900], [300, 300]]]
    (tmp_path / "mine.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": square}))
    adata = predict(made, tmp_path, tissue=tmp_path / "mine.geojson")
    assert adata.obsm["spatial"].min() >= 300
    assert adata.obsm["spatial"].max() <= 900
    assert adata.uns["slide"]["tissue_mm2"] == pytest.approx(0.3**2)


def slide(made: Path) -> np.ndarray:
    with Image.open(made / "D1.tif") as image:
        return np.asarray(image.convert("RGB"))


def stained_otherwise(pixels: np.ndarray) -> np.ndarray:
    """The slide as if stained with haematoxylin and DAB."""
    from skimage.color import combine_stains, rgb2hed, rgb_from_hdx

    stains = rgb2hed(pixels)  # haematoxylin, eosin, and what they leave
    stains[..., 2] = 0
    return (combine_stains(stains, rgb_from_hdx) * 255).astype(np.uint8)


def test_a_slide_of_another_stain_is_flagged_and_its_twin_is_not(made, predicted, tmp_path):
    assert not predicted.uns["slide"]["flagged"]
    Image.fromarray(stained_otherwise(slide(made))).save(tmp_path / "other.png")
    other = predict(made, tmp_path, tmp_path / "other.png", um_per_px=0.5)
    assert other.uns["slide"]["flagged"]
    assert "look unlike the training sections" in other.uns["slide"]["notes"][0]


def test_a_slide_of_another_tissue_is_flagged(made, shared, tmp_path):
    other = shared / "data" / "slides" / "CMU-1-Small-Region.svs"
    assert predict(made, tmp_path, other).uns["slide"]["flagged"]


def test_an_alpha_channel_and_other_formats_change_nothing(made, predicted, tmp_path):
    Image.fromarray(slide(made)).convert("RGBA").save(tmp_path / "alpha.png")
    adata = predict(made, tmp_path, tmp_path / "alpha.png", um_per_px=0.5)
    assert adata.obs_names.equals(predicted.obs_names)
    assert np.corrcoef(adata.X.ravel(), predicted.X.ravel())[0, 1] > 0.99


def test_a_coarser_slide_is_upsampled_with_a_word_and_a_far_coarser_one_refused(made, tmp_path):
    whole = Image.fromarray(slide(made))
    for times in (1.6, 2.5):
        size = [round(side / times) for side in whole.size]
        whole.resize(size, Image.Resampling.LANCZOS).save(tmp_path / f"{times}.png")
    adata = predict(made, tmp_path, tmp_path / "1.6.png", um_per_px=0.8)
    assert "upsampled to the 0.5 µm per px of training" in adata.uns["slide"]["notes"][0]
    with pytest.raises(UserError, match="the slide is too coarse"):
        predict(made, tmp_path, tmp_path / "2.5.png", um_per_px=1.25)


def test_bad_slides_are_refused_in_a_sentence(made, tmp_path):
    Image.fromarray(slide(made)).save(tmp_path / "plain.png")
    with pytest.raises(UserError, match=r"pixel size of .* is unknown; give um_per_px"):
        predict(made, tmp_path, tmp_path / "plain.png")
    Image.new("RGB", (1500, 1500), (241, 240, 242)).save(tmp_path / "empty.png")
    with pytest.raises(UserError, match="There is no tissue on"):
        predict(made, tmp_path, tmp_path / "empty.png", um_per_px=0.5)
    small = [[[10, 10], [40, 10], [40, 40], [10, 40], [10, 10]]]
    (tmp_path / "small.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": small}))
    with pytest.raises(UserError, match="holds no spot at a pitch of 120 µm"):
        predict(made, tmp_path, tissue=tmp_path / "small.geojson")
    (tmp_path / "broken.svs").write_bytes((made / "D1.tif").read_bytes()[:5000])
    with pytest.raises(UserError, match=r"broken\.svs"):
        predict(made, tmp_path, tmp_path / "broken.svs", um_per_px=0.5)
    assert not (tmp_path / "D1.h5ad").exists()


def damaged(made: Path, folder: Path, name: str, change) -> Path:
    """A copy of the model folder in which one file is changed, or removed by None."""
    copy = folder / "damaged"
    shutil.copytree(made / "model", copy)
    if change is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(change((copy / name).read_bytes()))
    return copy


def changed(key: str, value: object):
    return lambda text: json.dumps({**json.loads(text), key: value}).encode()


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("model.json", None, "is no model folder: it has no model.json"),
        ("model.safetensors", None, "lacks model.safetensors; copy the whole folder"),
        ("model.safetensors", lambda data: data[:-1] + b"!", "is not the file that model.json"),
        ("training_distance.safetensors", None, "lacks training_distance"),
        ("model.json", changed("format_version", 99), "has format version 99, .* update"),
        ("model.json", changed("genes", "A"), r"genes: must be a list"),
        ("model.json", lambda data: data[:50], "model.json"),
    ],
)
def test_a_damaged_model_folder_is_refused_in_a_sentence(made, tmp_path, name, change, said):
    model = damaged(made, tmp_path, name, change)
    with pytest.raises(UserError, match=said):
        predict(made, tmp_path, model=model)
    assert not (tmp_path / "D1.h5ad").exists()


def test_other_weights_of_the_encoder_are_refused(made, tmp_path):
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(made / "weights.safetensors", "pt") as file:
        metadata = {**file.metadata(), "sha256": "0" * 64, "revision": "other"}
    other = tmp_path / "other.safetensors"
    save_file(load_file(made / "weights.safetensors"), other, metadata)
    with pytest.raises(UserError, match=r"trained with other weights of .* \(revision other\)"):
        predict(made, tmp_path, weights=other)


def test_the_card_says_limits_first_and_scores_if_there_are_any(made, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(made / "model", model)
    describe_model(model, None)
    text = (model / "README.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0] == "## Limits"
    assert "It was not evaluated" in text
    assert "Licence: CC0" in text
    assert "efficientnet_lite0: Apache-2.0" in text
    run = {"split": "patient_out", "method": "ridge", "variant": "full", "seed": 0}
    scores = pd.DataFrame([{**run, "gene": gene, "pcc": 0.3} for gene in GENES for _ in range(3)])
    scores.to_parquet(tmp_path / "scores.parquet")
    describe_model(model, tmp_path / "scores.parquet")
    assert "Mean PCC in patients that were left out: 0.30" in (model / "README.md").read_text()
    assert len(pd.read_csv(model / "scores.tsv", sep="\t")) == len(GENES)


def test_the_description_holds_all_that_predicting_needs(made):
    description = read_description(made / "model")
    (block,) = description.blocks
    assert block.field_um == pytest.approx(112)
    assert description.grid.pitch_um == pytest.approx(120)
    assert description.trained_on.patients == ("A", "B", "C")
    assert {*NEEDED, "README.md", "scores.tsv"} == {
        path.name for path in (made / "model").iterdir()
    }
    with h5py.File(made / "A1.features.h5") as file:
        assert block.sha256 == file.attrs["sha256"]
