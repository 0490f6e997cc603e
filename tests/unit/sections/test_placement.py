"""Spots and their image: on it, on its tissue, or on another one."""

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_matrix

from outs import HEIGHT, TISSUE, WIDTH, stained
from reg2st.base.errors import UserError
from reg2st.sections.placement import check_placement, tissue_mask
from reg2st.sections.raw_section import RawSection, Stated
from reg2st.sections.readers.st import read_spots
from reg2st.sections.slides import open_slide


def section(pixel_xy, image_width_px=None):
    return RawSection(
        "S1", "st", csr_matrix((0, 0)), [], [], np.asarray(pixel_xy, dtype=float),
        image_width_px=image_width_px,
    )  # fmt: skip


def on_an_ellipse(n=300):
    rng = np.random.default_rng(0)
    left, top, right, bottom = TISSUE
    angle, radius = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.uniform(0, 0.9, n))
    x = (left + right) / 2 + radius * np.cos(angle) * (right - left) / 2
    y = (top + bottom) / 2 + radius * np.sin(angle) * (bottom - top) / 2
    return np.column_stack([x, y])


def check(pixel_xy, **more):
    thumbnail = np.asarray(stained().resize((800, 600)))
    return check_placement(section(pixel_xy, **more), "S1.tif", (WIDTH, HEIGHT), thumbnail)


def test_spots_on_tissue_are_no_warning():
    placement = check(on_an_ellipse())
    assert placement.on_image.all()
    assert placement.tissue_share > 0.99
    assert placement.warnings == []


def test_the_mask_is_the_tissue():
    mask = tissue_mask(np.asarray(stained().resize((800, 600))))
    left, top, right, bottom = (value / 2 for value in TISSUE)
    area = np.pi / 4 * (right - left) * (bottom - top)
    assert mask.sum() == pytest.approx(area, rel=0.03)


def test_a_picture_without_contrast_tells_no_tissue():
    assert tissue_mask(np.full((60, 80, 3), 200, np.uint8)) is None
    grey = np.full((60, 80, 3), 200, np.uint8)
    placed = check_placement(section([(10, 10)]), "S1.tif", (800, 600), grey)
    assert placed.tissue_share is None
    assert placed.warnings == []


def test_spots_beside_the_tissue_are_a_warning_with_their_share():
    moved = on_an_ellipse() + np.array([550, 0])
    (warning,) = check(moved).warnings
    assert "only " in warning
    assert "% of the spots lie on tissue of S1.tif" in warning


def test_exchanged_coordinates_are_said():
    image = Image.new("RGB", (WIDTH, HEIGHT), (243, 242, 244))
    image.paste((214, 130, 185), (100, 700, 500, 1100))
    spots = np.random.default_rng(0).uniform((120, 720), (480, 1080), (100, 2))
    thumbnail = np.asarray(image.resize((800, 600)))
    size = (WIDTH, HEIGHT)
    assert check_placement(section(spots), "S1.tif", size, thumbnail).warnings == []
    (warning,) = check_placement(section(spots[:, ::-1]), "S1.tif", size, thumbnail).warnings
    assert "100% of the spots would lie on tissue if x and y were exchanged" in warning
    assert "only 0% do" in warning


def test_a_few_spots_outside_are_left_out_and_most_are_refused():
    spots = on_an_ellipse(100)
    spots[:10] += 5000
    assert check(spots).on_image.sum() == 90
    spots[:60] += 5000
    with pytest.raises(UserError, match=r"60 of 100 spots lie outside S1\.tif \(1600 x 1200 px\)"):
        check(spots)


def test_spots_that_lie_inside_when_exchanged_are_said():
    spots = np.random.default_rng(0).uniform((100, 1250), (1100, 1550), (50, 2))
    with pytest.raises(UserError, match=r"50 of 50 .* if x and y were exchanged"):
        check(spots)


@pytest.mark.parametrize(("asked", "fits"), [(1600, True), (1630, True), (1650, False)])
def test_the_width_that_the_platform_asks_is_compared(asked, fits):
    stated = Stated(asked, "tissue_hires_image.png")
    if fits:
        assert check(on_an_ellipse(), image_width_px=stated).warnings == []
        return
    with pytest.raises(UserError, match=r"1,600 px wide, .* an image of 1,650 px, as tissue_hires"):
        check(on_an_ellipse(), image_width_px=stated)


REAL = ("B/B4/BT10737_D2_HE", "C/C4/5714_HE_BT_D2", "C/C6/5714_HE_BT_E2")


@pytest.mark.parametrize("image", REAL)
def test_real_spots_lie_on_tissue_and_those_of_another_image_do_not(shared, image):
    data = shared / "data" / "her2st"
    spots = read_spots(data / "ST-spotfiles" / f"{image.split('/')[1]}_selection.tsv")
    pixel_xy = spots[["pixel_x", "pixel_y"]].to_numpy()
    with open_slide(data / "ST-imgs" / f"{image}.jpg") as slide:
        size_px, thumbnail = slide.size_px, slide.thumbnail(1000)
    placement = check_placement(section(pixel_xy), image, size_px, thumbnail)
    assert placement.tissue_share > 0.85  # half of B4 is loose fat
    assert placement.warnings == []
    mirrored = np.array(size_px) - 1 - pixel_xy
    turned = check_placement(section(mirrored), image, size_px, thumbnail)
    assert turned.tissue_share < placement.tissue_share - 0.1
    small = tuple(side // 2 for side in size_px)
    halved = thumbnail[::2, ::2]
    with pytest.raises(UserError, match="spots lie outside"):
        check_placement(section(pixel_xy + 1500), image, small, halved)
