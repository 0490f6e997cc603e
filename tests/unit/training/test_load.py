"""Loading the files of a section: embeddings, and tiles in the same units."""

import numpy as np
import pytest
import torch
from PIL import Image

from reg2st.base.errors import UserError
from reg2st.features.encoders import Grid, embed_section, load_encoder, read_tiles
from reg2st.features.fields import View
from reg2st.features.graphs import write_graph
from reg2st.models.deepspot import SUBTILES
from reg2st.models.registry import parse_settings
from reg2st.sections.section_file import write_section
from reg2st.study.specification import FeatureSource, RunKey, RunSpec, SectionFiles
from reg2st.training.load import load_sections
from sections import read_st

SIDE_PX, SPOTS = 1200, [(112, 112), (600, 500), (1000, 1088), (300, 900)]
VIEW = View(field_px=224)
GREY = load_encoder("mean_grey", None)


@pytest.fixture
def slide(tmp_path):
    """Each pixel is as grey as its column is far right; the values differ between rows of 75 px."""
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    grey = (columns / 8 + 5 * (rows // 75)).astype(np.uint8)
    path = tmp_path / "slide.png"
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(path)
    return path, grey


@pytest.fixture
def section(slide, tmp_path):
    names = [f"{index}x1" for index in range(len(SPOTS))]
    (tmp_path / "counts.tsv").write_text("\tACTB\n" + "".join(f"{name}\t1\n" for name in names))
    rows = [f"{index}\t1\t{x}\t{y}" for index, (x, y) in enumerate(SPOTS)]
    (tmp_path / "spots.tsv").write_text("\n".join(["x\ty\tpixel_x\tpixel_y", *rows]))
    tables = {kind: tmp_path / f"{kind}.tsv" for kind in ("counts", "spots")}
    write_section(
        read_st("S1", dataset="small", patient="P", image=slide[0], **tables), tmp_path / "S1.h5ad"
    )
    return tmp_path / "S1.h5ad"


def embedded(slide, section, out, tiles=None):
    embed_section(slide[0], section, VIEW, GREY, out, tiles=tiles)
    return out


def spots_of(section):
    return np.array([f"{index}x1" for index in range(len(SPOTS))])


def test_tiles_are_squares_of_the_slide_around_each_spot(slide, section, tmp_path):
    out = embedded(slide, section, tmp_path / "t.h5", Grid(side=3, share=1.0))
    stored, on_slide = read_tiles(out, spots_of(section))
    tiles = stored[:]
    assert tiles.shape == (4, 9, 1)
    for spot, (x, y) in enumerate(SPOTS):
        for tile in range(9):
            left = x - 112 + 224 * (tile % 3 - 1)
            top = y - 112 + 224 * (tile // 3 - 1)
            inside = min(left, top) >= 0 and max(left, top) + 224 <= SIDE_PX
            assert on_slide[spot, tile] == inside
            if inside:
                mean = slide[1][top : top + 224, left : left + 224].mean()
                assert tiles[spot, tile, 0] == pytest.approx(mean, abs=1e-3)
    assert on_slide[0].tolist() == [False] * 4 + [True] * 2 + [False] + [True] * 2


def test_subtiles_share_out_the_patch(slide, section, tmp_path):
    out = embedded(slide, section, tmp_path / "t.h5", Grid(SUBTILES.side, SUBTILES.share))
    tiles, on_slide = read_tiles(out, spots_of(section))
    assert on_slide.all()
    x, y = SPOTS[1]
    patch = slide[1][y - 112 : y - 112 + 222, x - 112 : x - 112 + 222]
    means = patch.reshape(3, 74, 3, 74).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(tiles[1][:, 0], means, atol=0.6)  # 74 px are enlarged to 224


def specified(section, tmp_path, slide, standardise):
    """A run of DeepSpot on features of one encoder twice, so that columns are of two files."""
    own = embedded(slide, section, tmp_path / "own.h5")
    tiles = embedded(slide, section, tmp_path / "tiles.h5", Grid(SUBTILES.side, SUBTILES.share))
    write_graph(tmp_path / "graph.npz", np.array([[0, 1], [1, 0]]), len(SPOTS))
    files = SectionFiles(
        section=section,
        features=(own, own),
        tiles={SUBTILES.name: (tiles, tiles)},
        graph=tmp_path / "graph.npz",
    )
    key = {"dataset": "small", "split": "section_out", "variant": "full", "fold": "S1"}
    return RunSpec(
        key=RunKey(**key, method="deepspot", preset="published", seed=0),
        settings=parse_settings("deepspot", "published", {}).model_dump(),
        features=(FeatureSource(encoder="mean_grey", view="native"),) * 2,
        standardise=standardise,
        precision="float32",
        target="paper",
        panel=tmp_path / "panel.txt",
        sections=(files,),
    )


@pytest.mark.parametrize("standardise", ["none", "section"])
def test_tiles_have_the_columns_and_units_of_the_embedding(slide, section, tmp_path, standardise):
    run = specified(section, tmp_path, slide, standardise)
    assert str(tmp_path / "tiles.h5") in run.files()
    (loaded,) = load_sections(run, with_targets=False)
    (raw,) = load_sections(run.model_copy(update={"standardise": "none"}), with_targets=False)
    every = torch.arange(len(SPOTS))
    ours, plain = (each.tiles[SUBTILES.name].part(every) for each in (loaded, raw))
    assert ours.embedding.shape == (4, 9, 2)
    assert ours.on_slide.all()
    assert ours.embedding.dtype == loaded.embedding.dtype == torch.float32
    if standardise == "section":
        own = raw.embedding
        expected = (plain.embedding - own.mean(dim=0)) / own.std(dim=0, correction=0)
        torch.testing.assert_close(ours.embedding, expected, rtol=1e-4, atol=1e-4)
        assert loaded.embedding.mean(dim=0).abs().max() < 1e-5
    else:
        torch.testing.assert_close(ours.embedding, plain.embedding)


def test_tiles_of_other_spots_are_refused(slide, section, tmp_path):
    tiles = embedded(slide, section, tmp_path / "t.h5", Grid(1, 1.0))
    with pytest.raises(UserError, match=r"t\.h5"):
        read_tiles(tiles, spots_of(section)[::-1])
    own = embedded(slide, section, tmp_path / "own.h5")
    with pytest.raises(UserError, match="damaged or no embedding file"):
        read_tiles(own, spots_of(section))
