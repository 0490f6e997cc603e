"""Positions in pitches and in whole numbers, and the neighbours that follow from them."""

import anndata
import numpy as np
import pytest

from outs import Outs, square, stained
from reg2st.base.errors import UserError
from reg2st.features.graphs import nearest_neighbours
from reg2st.sections.annotations import load_labels, match_labels
from reg2st.sections.assembly import read_section
from reg2st.sections.geometry import HEXAGONAL, SQUARE, measure_pitch_px, recognise_lattice
from reg2st.sections.positions import numbered_xy, pitch_xy
from reg2st.sections.readers import reader
from reg2st.sections.readers.st import read_spots
from reg2st.sections.section_file import load_section_arrays, write_section
from reg2st.sections.section_row import SectionRow
from reg2st.sections.spaceranger import read_positions

GRAPHS = {"nearest_2": (2, None), "nearest_4": (4, None), "nearest_4_within_2": (4, 2)}
GRAPHS |= {"nearest_8_within_1_5": (8, 1.5), "nearest_8_within_2": (8, 2)}
"""Of the config and of every model."""


@pytest.fixture
def arrays(tmp_path):
    """Read a section and load its file."""

    def load(row):
        section = read_section(row, reader(row.platform).files(row, tmp_path), "made")
        write_section(section, tmp_path / "section.h5ad")
        return load_section_arrays(tmp_path / "section.h5ad")

    stained().save(tmp_path / "S1.tif")
    return load


@pytest.fixture
def visium(tmp_path, arrays):
    Outs().write(tmp_path / "outs")
    return arrays(SectionRow("S1", "P", "visium", folder="outs", image="S1.tif"))


def neighbours(xy, within):
    """How many spots are within a distance of each spot, ``[n]``."""
    edges = nearest_neighbours(xy, 12, within)
    return np.bincount(edges[1], minlength=len(xy))


def test_a_hexagonal_array_has_six_neighbours_inside(visium):
    xy = pitch_xy(visium)
    for within in (1, 1.2, 1.5):
        found = neighbours(xy, within)
        assert found.max() == 6
        assert np.median(found) == 6
    assert np.array_equal(numbered_xy(visium), visium.array_xy)


def test_pixels_tell_the_same_neighbours_where_there_is_no_array(visium, tmp_path, arrays):
    counts = np.random.default_rng(0).poisson(2.0, (len(visium.barcodes), 3))
    made = anndata.AnnData(counts, obsm={"spatial": visium.pixel_xy})
    made.write_h5ad(tmp_path / "S1.h5ad")
    loose = arrays(SectionRow("S1", "P", "h5ad", counts="S1.h5ad", image="S1.tif"))
    assert loose.array_xy is None
    np.testing.assert_array_equal(
        nearest_neighbours(pitch_xy(loose), 12, 1.5)[1],
        nearest_neighbours(pitch_xy(visium), 12, 1.5)[1],
    )
    numbers = numbered_xy(loose)
    assert numbers.dtype == np.int64
    assert numbers.min(axis=0).tolist() == [0, 0]
    assert (np.ptp(numbers, axis=0) <= np.ptp(pitch_xy(visium), axis=0) + 1).all()

    # With array numbers in obs the lattice is recognised, and distances are exact again.
    made.obs["array_col"], made.obs["array_row"] = visium.array_xy.T
    made.write_h5ad(tmp_path / "S1.h5ad")
    numbered = arrays(SectionRow("S1", "P", "h5ad", counts="S1.h5ad", image="S1.tif"))
    assert numbered.lattice == HEXAGONAL
    np.testing.assert_array_equal(pitch_xy(numbered), pitch_xy(visium))


def test_bins_have_eight_neighbours_inside(tmp_path, arrays):
    made = Outs(positions=square(16, 0.5))
    made.write(tmp_path / "outs" / "binned_outputs" / "square_016um")
    row = SectionRow("S1", "P", "visium_hd", folder="outs", image="S1.tif", bin_um=16)
    found = neighbours(pitch_xy(arrays(row)), 1.5)
    assert found.max() == np.median(found) == 8


def test_a_real_square_array_has_four_or_eight_and_the_edges_of_its_numbers(shared):
    """Pixels of real arrays would give other edges."""
    for name in ("B4", "C2", "C3", "C4", "C5", "C6"):
        spots = read_spots(shared / "data/her2st/ST-spotfiles" / f"{name}_selection.tsv")
        array_xy = spots[["array_col", "array_row"]].to_numpy()
        pixel_xy = spots[["pixel_x", "pixel_y"]].to_numpy()
        assert recognise_lattice(pixel_xy, array_xy) == SQUARE
        xy = array_xy * np.array(SQUARE)
        assert np.median(neighbours(xy, 1.2)) == neighbours(xy, 1.2).max() == 4
        assert np.median(neighbours(xy, 1.5)) == neighbours(xy, 1.5).max() == 8
        by_pixels = pixel_xy / measure_pitch_px(pixel_xy, array_xy, SQUARE)
        for wanted in GRAPHS.values():
            edges = nearest_neighbours(array_xy, *wanted)
            np.testing.assert_array_equal(nearest_neighbours(xy, *wanted), edges)
            other = set(map(tuple, nearest_neighbours(by_pixels, *wanted).T))
            assert other != set(map(tuple, edges.T))


@pytest.mark.parametrize("folder", ["human_breast_338", "human_crc16", "mouse_placenta_cytassist"])
def test_a_real_hexagonal_array_has_six_neighbours_inside(shared, folder):
    (path,) = (shared / "data/visium" / folder / "outs/spatial").glob("tissue_positions*")
    spots = read_positions(path).query("in_tissue")
    array_xy = spots[["array_col", "array_row"]].to_numpy()
    pixel_xy = spots[["pixel_x", "pixel_y"]].to_numpy()
    assert recognise_lattice(pixel_xy, array_xy) == HEXAGONAL
    for within in (1, 1.5):
        found = neighbours(array_xy * np.array(HEXAGONAL), within)
        assert found.max() == np.median(found) == 6
    by_pixels = pixel_xy / measure_pitch_px(pixel_xy, None, None)
    assert np.median(neighbours(by_pixels, 1.5)) == 6


def test_labels_by_barcode_need_no_array(visium, tmp_path, arrays):
    labels = tmp_path / "labels.tsv"
    labels.write_text("x\ty\tlabel\n1\t2\tfat\n")
    counts = np.random.default_rng(0).poisson(2.0, (len(visium.barcodes), 3))
    made = anndata.AnnData(counts, obsm={"spatial": visium.pixel_xy})
    made.write_h5ad(tmp_path / "S1.h5ad")
    loose = arrays(SectionRow("S1", "P", "h5ad", counts="S1.h5ad", image="S1.tif"))
    with pytest.raises(UserError, match="labels array positions, but section S1 has none"):
        match_labels(tmp_path / "section.h5ad", labels, tmp_path / "out.tsv")
    labels.write_text("barcode\tlabel\n0\tfat\n1\tgland\n")
    match_labels(tmp_path / "section.h5ad", labels, tmp_path / "out.tsv")
    told = load_labels(tmp_path / "out.tsv", loose.barcodes)
    assert told[:3].tolist() == ["fat", "gland", ""]


@pytest.mark.parametrize("foreign", [1, 9])
def test_labels_of_another_section_are_doubted(visium, tmp_path, arrays, foreign, caplog):
    made = anndata.AnnData(np.ones((len(visium.barcodes), 3)), obsm={"spatial": visium.pixel_xy})
    made.write_h5ad(tmp_path / "S1.h5ad")
    arrays(SectionRow("S1", "P", "h5ad", counts="S1.h5ad", image="S1.tif"))
    labels, out = tmp_path / "labels.tsv", tmp_path / "out.tsv"
    names = [*range(4), *(f"other{number}" for number in range(foreign))]
    labels.write_text("barcode\tlabel\n" + "".join(f"{name}\tfat\n" for name in names))
    told = f"only 4 of {4 + foreign} labels belong to a spot of section S1"
    if foreign < 4:
        match_labels(tmp_path / "section.h5ad", labels, out)
        assert told in caplog.text
    else:
        with pytest.raises(UserError, match=told):
            match_labels(tmp_path / "section.h5ad", labels, out)
        assert not out.exists()
