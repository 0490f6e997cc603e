"""What a page of the viewer holds: tiles, levels of values, sizes, and names that stay names."""

import base64
import json
import math
import zlib

import anndata
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reg2st.base.errors import UserError
from reg2st.report.viewer.page import best_genes, spot_sizes_px
from reg2st.report.viewer.page_writer import write_page
from reg2st.report.viewer.pyramid import TILE_PX, levels_of, write_pyramid
from reg2st.report.viewer.slide_page import page_of_slide
from reg2st.report.viewer.study_page import page_of_section
from reg2st.sections.slides import open_slide
from sections import about, log_expression
from viewed import make_section

GENES = [f"GENE{number}" for number in range(7)] + ["CONSTANT"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_section(tmp_path_factory.mktemp("made"), name="S1", genes=GENES)


def read_data(path):
    """The value in a data script: it is one call with JSON, in ASCII."""
    text = path.read_text(encoding="ascii")
    assert text.startswith("received(")
    assert "<" not in text
    name, value = json.loads(f"[{text.removeprefix('received(').removesuffix(');' + chr(10))}]")
    return name, value


def levels(packed, spots):
    values = np.frombuffer(zlib.decompress(base64.b64decode(packed)), dtype=np.uint8)
    return values.reshape(-1, spots)


def values_of(chunk, layer, spots):
    """The values ``[n, genes]`` that a chunk stands for."""
    scale = {key: np.array(chunk[layer][key], dtype=float) for key in ("low", "high")}
    found = levels(chunk[layer]["levels"], spots).astype(float)
    found[found == 255] = np.nan
    return (scale["low"][:, None] + found / 254 * (scale["high"] - scale["low"])[:, None]).T


@pytest.mark.parametrize("size", [(1300, 1100), (513, 1), (512, 512), (700, 1537)])
def test_the_pyramid_has_deep_zooms_sizes(tmp_path, size):
    Image.linear_gradient("L").resize(size).convert("RGB").save(tmp_path / "slide.png")
    with open_slide(tmp_path / "slide.png") as slide:
        write_pyramid(slide, tmp_path / "tiles")
    coarsest, finest = levels_of(size)
    assert finest == math.ceil(math.log2(max(size)))
    for level in range(coarsest, finest + 1):
        width, height = (math.ceil(side / 2 ** (finest - level)) for side in size)
        found = {path.name for path in (tmp_path / "tiles" / str(level)).iterdir()}
        columns, rows = math.ceil(width / TILE_PX), math.ceil(height / TILE_PX)
        assert found == {f"{x}_{y}.jpg" for x in range(columns) for y in range(rows)}
        last = Image.open(tmp_path / "tiles" / str(level) / f"{columns - 1}_{rows - 1}.jpg")
        assert last.size == (width - (columns - 1) * TILE_PX, height - (rows - 1) * TILE_PX)
    assert {path.name for path in (tmp_path / "tiles").iterdir()} == {
        "thumbnail.jpg",
        *map(str, range(coarsest, finest + 1)),
    }


def test_a_slide_of_openslide_has_the_tiles_of_the_same_picture(tmp_path):
    import tifffile

    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (20, 24, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((1200, 1000), Image.Resampling.BICUBIC))
    Image.fromarray(pixels).save(tmp_path / "plain.png")
    with tifffile.TiffWriter(tmp_path / "tiled.tif") as tiff:
        for step in (1, 2):
            tiff.write(pixels[::step, ::step], tile=(256, 256), subfiletype=int(step > 1))
    found = {}
    for name in ("plain.png", "tiled.tif"):
        with open_slide(tmp_path / name) as slide:
            write_pyramid(slide, tmp_path / name[:5])
        tiles = sorted((tmp_path / name[:5]).rglob("*_*.jpg"))
        found[name[:5]] = {
            tile.relative_to(tmp_path / name[:5]): Image.open(tile) for tile in tiles
        }
    assert found["plain"].keys() == found["tiled"].keys()
    for tile, plain in found["plain"].items():
        difference = np.asarray(plain, float) - np.asarray(found["tiled"][tile], float)
        assert np.abs(difference).mean() < 3


def test_values_of_every_layer_are_those_of_the_files(made, tmp_path):
    page = page_of_section(**made)
    write_page(page, tmp_path / "page", tmp_path)
    _, facts = read_data(tmp_path / "page" / "data" / "page.js")
    assert facts["genes"] == GENES
    assert [layer["name"] for layer in facts["layers"]] == [
        *("observed", "ridge", "sprig", "sprig.sd")
    ]
    assert facts["start"] == ".."
    _, chunk = read_data(tmp_path / "page" / "data" / "genes" / "0.js")
    counts = anndata.read_h5ad(made["section"]).X.toarray()
    wanted = {"observed": log_expression(counts)}
    for method, path in made["predictions"].items():
        predictions = anndata.read_h5ad(path)
        wanted[method] = predictions.X
        if "spread" in predictions.layers:
            wanted[f"{method}.sd"] = predictions.layers["spread"]
    assert chunk.keys() == wanted.keys()
    for layer, values in wanted.items():
        half_a_level = np.ptp(values, axis=0) / 254 / 2
        off = np.abs(values_of(chunk, layer, len(counts)) - values)
        assert (off <= half_a_level + 1e-5).all(), layer
        limits = np.percentile(values, (1, 99), axis=0)
        np.testing.assert_allclose(chunk[layer]["from"], limits[0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(chunk[layer]["to"], limits[1], rtol=1e-4, atol=1e-6)


def test_scores_and_labels_are_those_of_the_files(made, tmp_path):
    page = page_of_section(**made)
    assert page.reference == "sprig"
    for method, path in made["scores"].items():
        wanted = pd.read_csv(path, sep="\t").set_index("gene")["pcc"].reindex(GENES)
        np.testing.assert_array_equal(page.scores[method], wanted)
    write_page(page, tmp_path / "page", tmp_path)
    _, spots = read_data(tmp_path / "page" / "data" / "spots.js")
    names = np.array([*spots["labels"]["names"], *[""] * 254])
    found = names[levels(spots["labels"]["codes"], 80)[0]]
    labels = pd.read_csv(made["labels"], sep="\t", keep_default_na=False)["label"]
    assert found.tolist() == labels.tolist()


def test_a_section_that_no_fold_tests_shows_its_highest_genes(made):
    kept = {name: made[name] for name in ("section", "image", "study", "target", "reference")}
    page = page_of_section(**kept, most_genes=3, genes=["CONSTANT", "NOT_THERE"])
    counts = anndata.read_h5ad(made["section"]).to_df().sum()
    assert page.genes == [*counts.nlargest(3).index, "CONSTANT"]
    assert [layer.name for layer in page.layers] == ["observed"]
    assert "all genes" in page.layers[0].unit
    assert page.reference == ""
    assert "no fold" in page.summary


def test_at_most_so_many_genes_by_score():
    genes, scores = list("ABCDE"), np.array([0.1, np.nan, 0.5, 0.3, 0.2])
    assert best_genes(genes, scores, 3) == ["C", "D", "E"]
    assert best_genes(genes, scores, 5) == genes
    assert best_genes(genes, None, 2) == ["A", "B"]


def test_spots_without_gaps_are_squares():
    assert spot_sizes_px(16.0, 16.0) == (16.0, 16.0, True)
    assert spot_sizes_px(55.0, 100.0) == (55.0, 100.0, False)
    assert spot_sizes_px(math.nan, 100.0) == (50.0, 100.0, False)
    assert spot_sizes_px(None, None)[2] is False


def test_the_size_of_a_page_is_bounded(made, tmp_path):
    """At most 1.3 times the tiles and 2 bytes a spot, gene and layer, beside a fixed part."""
    page = page_of_section(**made)
    write_page(page, tmp_path / "page", tmp_path)
    size = {path: path.stat().st_size for path in (tmp_path / "page").rglob("*") if path.is_file()}
    tiles = sum(bytes_ for path, bytes_ in size.items() if path.suffix == ".jpg")
    program = sum(bytes_ for path, bytes_ in size.items() if path.parent == tmp_path / "page")
    values = len(page.genes) * len(page.barcodes) * len(page.layers)
    assert program < 60_000
    assert sum(size.values()) - program < 1.3 * tiles + 2 * values + 10_000


def predicted_slide(path, spots=300):
    """A slide's predictions as a trained model writes them."""
    random = np.random.default_rng(0)
    places = random.uniform(100, 1000, (spots, 2))
    adata = anndata.AnnData(
        X=random.normal(1, 0.2, (spots, len(GENES))).astype(np.float32),
        obs=pd.DataFrame(
            {"distance": np.linspace(0, 2, spots)}, index=[f"s{n}" for n in range(spots)]
        ),
        var=pd.DataFrame({"expected_pcc": np.linspace(0.6, -0.1, len(GENES))}, index=GENES),
        obsm={"spatial": places},
        uns={
            "section": about(
                "L1", "", "", um_per_px=0.5, spot_pitch_um=100.0, spot_diameter_um=55.0
            ),
            "target": "paper",
            "model": {"method": "sprig", "sha256": "ab12"},
        },
    )
    adata.layers["spread"] = np.full(adata.shape, 0.2, dtype=np.float32)
    adata.write_h5ad(path)
    return adata


def test_a_slide_without_counts_has_a_page(made, tmp_path):
    adata = predicted_slide(tmp_path / "predictions.h5ad")
    page = page_of_slide(
        tmp_path / "predictions.h5ad", made["image"], study="made_up", most_genes=4
    )
    assert page.genes == GENES[:4]
    assert (page.spot_px, page.pitch_px, page.square) == (110.0, 200.0, False)
    assert page.score_label == "expected PCC"
    np.testing.assert_allclose(page.scores["predicted"], adata.var["expected_pcc"][:4])
    assert "50 % of the spots unlike the training" in page.summary
    assert ("Model, sha256", "ab12") in page.provenance
    write_page(page, tmp_path / "page", tmp_path)
    _, chunk = read_data(tmp_path / "page" / "data" / "genes" / "0.js")
    assert chunk.keys() == {"predicted", "predicted.sd"}
    found = values_of(chunk, "predicted", adata.n_obs)
    np.testing.assert_allclose(found, adata.X[:, :4], atol=np.ptp(adata.X) / 254)
    _, spots = read_data(tmp_path / "page" / "data" / "spots.js")
    assert spots["distance"]["high"] == 2


def test_a_file_that_is_no_prediction_is_refused(made, tmp_path):
    with pytest.raises(UserError, match="lacks"):
        page_of_slide(made["predictions"]["ridge"], made["image"], study="made_up")
    with pytest.raises(UserError, match="missing or damaged"):
        page_of_slide(tmp_path / "none.h5ad", made["image"], study="made_up")


def test_predictions_of_other_spots_are_refused(made, tmp_path):
    other = make_section(tmp_path / "other", name="S1", genes=GENES, barcode="other-{}")
    with pytest.raises(UserError, match="other spots"):
        page_of_section(**{**made, "predictions": other["predictions"]})
