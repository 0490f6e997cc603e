"""Pixel size, pitch and diameter: from which source, and when two disagree."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from reg2st.sections.geometry import (
    CHECKERBOARD,
    HEXAGONAL,
    LEGACY_ST,
    SQUARE,
    VISIUM,
    SpotArray,
    measure_pitch_px,
    measure_section,
    recognise_lattice,
    square_bins,
)
from reg2st.sections.raw_section import RawSection, Stated
from reg2st.sections.readers.st import read_spots
from reg2st.sections.section_row import SectionRow

SQUARE_XY = np.array([(x, y) for x in range(8) for y in range(8)])
HEXAGONAL_XY = np.array([(x, y) for x in range(16) for y in range(8) if (x + y) % 2 == 0])


def placed(array_xy, step=(1.0, 1.0), angle=0.0):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return array_xy * np.array(step) @ turn + 1000


def measured(pixel_xy, array_xy, slide=None, *, array=LEGACY_ST, said=None, **raw):
    section = RawSection(
        "S1", "st", csr_matrix((0, 0)), [], [], pixel_xy, array_xy, array=array, **raw
    )
    row = SectionRow("S1", "P", **(said or {}))
    return measure_section(section, pixel_xy, array_xy, row, slide)


@pytest.mark.parametrize("angle", [0, 0.3, 2.0])
def test_the_pitch_of_a_turned_array_with_noise(angle):
    noise = np.random.default_rng(0).normal(0, 2, SQUARE_XY.shape)
    square = placed(SQUARE_XY, (272, 272), angle) + noise
    assert measure_pitch_px(square, SQUARE_XY, SQUARE) == pytest.approx(272, rel=0.01)
    step = (50, 100 * math.sqrt(3) / 2)
    hexagonal = placed(HEXAGONAL_XY, step, angle)
    assert measure_pitch_px(hexagonal, HEXAGONAL_XY, HEXAGONAL) == pytest.approx(100)


def test_without_an_array_the_nearest_spots_tell_the_pitch():
    step = (50, 100 * math.sqrt(3) / 2)
    assert measure_pitch_px(placed(HEXAGONAL_XY, step), None, None) == pytest.approx(100)
    assert measure_pitch_px(placed(SQUARE_XY, (40, 40), 1), None, SQUARE) == pytest.approx(40)


def test_too_few_spots_tell_no_pitch():
    for n in (0, 1):
        assert measure_pitch_px(np.zeros((n, 2)), None, None) is None
    line = np.array([(0, 0), (1, 1), (2, 2)])
    assert measure_pitch_px(line * 100.0, line, SQUARE) is None


def test_each_source_is_asked_in_turn():
    pixel_xy = placed(HEXAGONAL_XY, (50, 100 * math.sqrt(3) / 2))
    stated = Stated(1.01, "scalefactors_json.json")
    args = {"array": VISIUM}
    by_sheet = measured(
        pixel_xy, HEXAGONAL_XY, 1.03, um_per_px=stated, said={"um_per_px": 1.02}, **args
    )
    assert by_sheet.um_per_px == 1.02
    assert measured(pixel_xy, HEXAGONAL_XY, 1.03, um_per_px=stated, **args).um_per_px == 1.01
    by_pitch = measured(pixel_xy, HEXAGONAL_XY, 1.03, **args)
    assert by_pitch.um_per_px == pytest.approx(1.0)
    assert by_pitch.spot_diameter_px == pytest.approx(55)
    by_slide = measured(pixel_xy[:1], HEXAGONAL_XY[:1], 0.5, **args)
    assert (by_slide.um_per_px, by_slide.spot_pitch_px) == (0.5, 200)
    unknown = measured(pixel_xy[:1], HEXAGONAL_XY[:1], **args)
    assert unknown.um_per_px is None
    assert math.isnan(unknown.spot_diameter_px)
    assert by_sheet.warnings == by_pitch.warnings == by_slide.warnings == unknown.warnings == []


def test_a_legacy_section_asks_its_slide_before_the_pitch():
    pixel_xy = placed(SQUARE_XY, (272, 272))
    asked = {"slide_before_pitch": True}
    assert measured(pixel_xy, SQUARE_XY, 0.72, **asked).um_per_px == 0.72
    by_pitch = measured(pixel_xy, SQUARE_XY, **asked)
    assert by_pitch.um_per_px == pytest.approx(200 / 272)
    assert by_pitch.spot_diameter_px == pytest.approx(136)
    assert measured(pixel_xy, SQUARE_XY, said={"um_per_px": 0.8}, **asked).spot_diameter_px == 125


def test_sources_that_disagree_are_named_in_one_sentence():
    pixel_xy = placed(SQUARE_XY, (200, 200))
    told = measured(pixel_xy, SQUARE_XY, said={"um_per_px": 0.55, "spot_pitch_um": 150})
    assert told.um_per_px == 0.55
    (warning,) = told.warnings
    assert "0.55 µm by the sample sheet, which is used, but 0.75 µm by the spot pitch" in warning
    close = measured(pixel_xy, SQUARE_XY, 1.04, said={"um_per_px": 1.0})
    assert close.warnings == []


def test_the_sheets_pitch_and_diameter_replace_the_platforms():
    said = {"spot_pitch_um": 150.0, "spot_diameter_um": 110.0}
    told = measured(placed(SQUARE_XY, (200, 200)), SQUARE_XY, said=said)
    assert told.um_per_px == pytest.approx(0.75)
    assert (told.spot_pitch_um, told.spot_diameter_um) == (150, 110)
    assert told.spot_diameter_px == pytest.approx(110 / 0.75)


def test_a_pitch_that_no_one_states_follows_from_the_pixel_size():
    told = measured(placed(SQUARE_XY, (40, 40)), None, 0.5, array=SpotArray())
    assert (told.um_per_px, told.spot_pitch_px) == (0.5, pytest.approx(40))
    assert told.spot_pitch_um == pytest.approx(20)
    assert told.spot_diameter_um is None


def test_a_lattice_is_recognised_by_its_pixels():
    hexagonal = placed(HEXAGONAL_XY, (50, 100 * math.sqrt(3) / 2), 0.4)
    assert recognise_lattice(hexagonal, HEXAGONAL_XY) == HEXAGONAL
    assert recognise_lattice(placed(SQUARE_XY, (40, 40), 1), SQUARE_XY) == SQUARE
    assert recognise_lattice(placed(SQUARE_XY, (40, 52)), SQUARE_XY) is None
    line = np.array([(0, 0), (1, 1), (2, 2)])
    assert recognise_lattice(line * 100.0, line) is None


def test_spots_on_every_second_position_are_nearest_across_a_corner():
    told = measured(placed(HEXAGONAL_XY, (100, 100)), HEXAGONAL_XY, 0.5)
    assert told.lattice == CHECKERBOARD
    assert told.spot_pitch_px == pytest.approx(100 * math.sqrt(2))
    assert measured(placed(SQUARE_XY, (100, 100)), SQUARE_XY, 0.5).lattice == SQUARE
    assert measured(placed(HEXAGONAL_XY[:8], (100, 100)), HEXAGONAL_XY[:8]).lattice == SQUARE


def test_the_sizes_of_the_cscc_sheet_belong_to_one_array(root):
    sheet = pd.read_csv(root / "config" / "sections" / "cscc.tsv", sep="\t")
    columns, rows = 46, 43
    assert columns * rows == pytest.approx(1934, rel=0.03)
    array_xy = np.array([(x, y) for x in range(columns) for y in range(rows)])
    for row in sheet.itertuples():
        assert (row.spot_pitch_um, row.spot_diameter_um) == (150, 110)
        pitch_px = row.spot_pitch_um / row.um_per_px
        assert pitch_px == pytest.approx(200, rel=0.015)
        said = {name: getattr(row, name) for name in ("um_per_px", "spot_pitch_um")}
        pixel_xy = placed(array_xy, (200, 200))
        assert measured(pixel_xy, array_xy, said=said).warnings == []
        extent_mm = np.ptp(pixel_xy, axis=0) * row.um_per_px / 1000
        np.testing.assert_allclose(extent_mm, (6.9, 6.5), rtol=0.04)


def test_bins_have_no_gaps():
    array = square_bins(8)
    assert array.pitch_um == array.diameter_um == 8


def test_the_pixel_sizes_of_the_her2_sheet_agree_with_its_pitch(shared, root):
    sheet = pd.read_csv(root / "config" / "sections" / "her2st.tsv", sep="\t", index_col="section")
    for name, um_per_px in sheet["um_per_px"].items():
        spots = read_spots(shared / "data/her2st/ST-spotfiles" / f"{name}_selection.tsv")
        pixel_xy = spots[["pixel_x", "pixel_y"]].to_numpy()
        array_xy = spots[["array_col", "array_row"]].to_numpy()
        told = measured(pixel_xy, array_xy, said={"um_per_px": um_per_px})
        assert told.um_per_px == um_per_px
        assert told.spot_diameter_px == 100 / um_per_px
        assert told.warnings == []
