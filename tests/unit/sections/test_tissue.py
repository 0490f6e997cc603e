"""Tissue regions: found on pictures of known content, written, read and drawn by hand."""

import json

import numpy as np
import pytest
import shapely
from PIL import Image, ImageDraw

from reg2st.base.errors import UserError
from reg2st.sections.slides import open_slide
from reg2st.sections.tissue import clean_mask, find_tissue, read_contours, write_contours

GLASS = (242, 240, 243)
EOSIN = (214, 130, 170)
HAEMATOXYLIN = (96, 80, 150)
DAB = (140, 90, 50)
BLUE_PEN, GREEN_PEN, BLACK_PEN = (30, 60, 160), (20, 120, 60), (25, 25, 28)


def picture(*drawn: tuple) -> np.ndarray:
    """A noisy picture of 600 x 400 px with ellipses of colours at boxes."""
    image = Image.new("RGB", (600, 400), GLASS)
    draw = ImageDraw.Draw(image)
    for colour, box in drawn:
        draw.ellipse(box, fill=colour)
    noise = np.random.default_rng(0).normal(0, 3, (400, 600, 3))
    return (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("stain", [EOSIN, HAEMATOXYLIN, DAB])
@pytest.mark.parametrize("pen", [BLUE_PEN, GREEN_PEN, BLACK_PEN])
def test_tissue_of_any_stain_is_found_and_pen_marks_are_not(stain, pen):
    mask = clean_mask(picture((stain, (50, 50, 350, 350)), (pen, (420, 100, 560, 240))), 8.0)
    assert mask[100:300, 150:250].all()
    assert not mask[:, 400:].any()
    assert mask.sum() == pytest.approx(np.pi * 150**2, rel=0.05)


def test_specks_are_left_out_and_small_holes_filled():
    tissue = (EOSIN, (50, 50, 350, 350))
    speck, small, large = (500, 50, 515, 65), (100, 180, 112, 192), (200, 150, 270, 220)
    mask = clean_mask(picture(tissue, (EOSIN, speck), (GLASS, small), (GLASS, large)), 8.0)
    assert not mask[40:80, 480:540].any()
    assert mask[186, 106]
    assert not mask[185, 235]


def test_regions_are_in_pixels_of_the_slide_and_keep_their_holes(tmp_path):
    drawn = picture((EOSIN, (50, 50, 350, 350)), (GLASS, (150, 150, 250, 250)))
    Image.fromarray(drawn).resize((2400, 1600)).save(tmp_path / "slide.png")
    with open_slide(tmp_path / "slide.png") as slide:
        regions = find_tissue(slide, 2.0)
    (region,) = regions.geoms
    assert len(region.interiors) == 1
    assert regions.bounds == pytest.approx((200, 200, 1400, 1400), abs=20)
    assert regions.area == pytest.approx(np.pi * (600**2 - 200**2), rel=0.05)
    write_contours(regions, tmp_path / "tissue.geojson")
    assert read_contours(tmp_path / "tissue.geojson").equals(regions)
    (feature,) = json.loads((tmp_path / "tissue.geojson").read_text())["features"]
    assert feature["properties"]["objectType"] == "annotation"


def test_a_slide_without_tissue_is_refused(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "empty.png")
    with open_slide(tmp_path / "empty.png") as slide, pytest.raises(UserError, match="no tissue"):
        find_tissue(slide, 8.0)


SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [100, 0], [100, 100], [0, 100], [0, 0]]]}
FEATURE = {"type": "Feature", "geometry": SQUARE, "properties": {"name": "mine"}}


@pytest.mark.parametrize(
    "written", [SQUARE, FEATURE, [FEATURE], {"type": "FeatureCollection", "features": [FEATURE]}]
)
def test_contours_are_read_in_every_form_that_qupath_writes(tmp_path, written):
    (tmp_path / "mine.geojson").write_text(json.dumps(written))
    assert read_contours(tmp_path / "mine.geojson").area == pytest.approx(100**2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "is not GeoJSON"),
        ('{"type": "Feature"}', "is not GeoJSON"),
        ('{"type": "FeatureCollection", "features": []}', "holds no polygon"),
        ('{"type": "Point", "coordinates": [1, 2]}', "holds no polygon"),
    ],
)
def test_contours_that_are_none_are_refused(tmp_path, text, said):
    (tmp_path / "mine.geojson").write_text(text)
    with pytest.raises(UserError, match=said):
        read_contours(tmp_path / "mine.geojson")
    with pytest.raises(UserError, match="do not exist"):
        read_contours(tmp_path / "other.geojson")


def test_crossing_contours_are_mended(tmp_path):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]}
    (tmp_path / "mine.geojson").write_text(json.dumps(bow))
    regions = read_contours(tmp_path / "mine.geojson")
    assert regions.is_valid
    assert regions.area == pytest.approx(50)
    assert shapely.get_num_geometries(regions) == 2


REAL = {
    "CMU-1-Small-Region.svs": (0.499, 0.4, 0.9),
    "tcga-cr-7395-01a-01-ts1.svs": (0.5, 2.2, 3.0),
    "multiframe_camelyon_challenge_image.dcm": (28.97, 120, 170),
}


@pytest.mark.parametrize("name", REAL)
def test_tissue_of_real_slides_has_a_plausible_area(shared, name):
    um_per_px, least, most = REAL[name]
    with open_slide(shared / "data" / "slides" / name) as slide:
        area_mm2 = find_tissue(slide, um_per_px).area * um_per_px**2 / 1e6
    assert least < area_mm2 < most
