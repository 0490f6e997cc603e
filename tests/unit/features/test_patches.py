"""Patches: where they are cut, how they are resampled, what leaves the slide."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from processes import printed_by
from reg2st.base.errors import UserError
from reg2st.features.fields import View, open_fields
from reg2st.features.patches import cut_patches, read_patches
from reg2st.sections.section_file import write_section
from sections import read_st

WIDTH, HEIGHT = 1300, 900
SPOTS = {"1x2": (600.4, 400.6), "4x5": (300.5, 449.5), "7x8": (1295.0, 10.0)}


def picture() -> np.ndarray:
    """Every pixel holds its column (red) and its row (green)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([columns % 256, rows % 256, 0 * rows + 99], axis=2).astype(np.uint8)


@pytest.fixture
def section(tmp_path):
    """Writes a slide and its section file; returns both paths."""

    def write(um_per_px=None) -> tuple[Path, Path]:
        slide = tmp_path / "slide.png"
        Image.fromarray(picture()).save(slide)
        (tmp_path / "counts.tsv").write_text("\tACTB\n" + "".join(f"{s}\t1\n" for s in SPOTS))
        rows = ["x\ty\tpixel_x\tpixel_y\tselected"]
        for spot, (pixel_x, pixel_y) in SPOTS.items():
            rows.append("\t".join([*spot.split("x"), str(pixel_x), str(pixel_y), "1"]))
        (tmp_path / "spots.tsv").write_text("\n".join(rows))
        read = read_st(
            "S1",
            dataset="small",
            patient="P",
            image=slide,
            counts=tmp_path / "counts.tsv",
            spots=tmp_path / "spots.tsv",
            um_per_px=um_per_px,
        )
        path = tmp_path / "S1.h5ad"
        write_section(read, path)
        return slide, path

    return write


def test_a_patch_is_the_slide_around_its_spot(section, tmp_path):
    out = tmp_path / "p.h5"
    assert cut_patches(*section(), View(field_px=224), out) == 1
    patches = read_patches(out)
    assert patches.images.shape == (3, 224, 224, 3)
    assert patches.images.dtype == np.uint8
    assert patches.barcodes.tolist() == ["1x2", "4x5", "7x8"]
    assert patches.coords.tolist()[:2] == [[488, 289], [188, 338]]
    for image, (x, y) in zip(patches.images[:2], patches.coords[:2], strict=True):
        np.testing.assert_array_equal(image, picture()[y : y + 224, x : x + 224])
    assert patches.field_px == 224
    assert patches.um_per_px is None


def test_what_leaves_the_slide_is_white_and_counted(section, tmp_path, caplog):
    caplog.set_level("INFO")
    cut_patches(*section(), View(field_px=224), tmp_path / "p.h5")
    patches = read_patches(tmp_path / "p.h5")
    assert patches.padded.tolist() == [False, False, True]
    assert "1 padded white" in caplog.text
    edge = patches.images[2]
    assert (edge[:102] == 255).all()
    assert (edge[:, 117:] == 255).all()
    x, y = patches.coords[2]
    np.testing.assert_array_equal(edge[102:, :117], picture()[: y + 224, x:])


@pytest.mark.parametrize("view", [View(field_px=224), View(field_px=448)])
def test_fields_are_the_patches_read_when_asked_for(section, tmp_path, view):
    slide, path = section(um_per_px=0.8)
    cut_patches(slide, path, view, tmp_path / "p.h5")
    patches = read_patches(tmp_path / "p.h5")
    with open_fields(slide, path, view) as fields:
        assert len(fields) == 3
        np.testing.assert_array_equal(fields[0:3], patches.images[:])
        np.testing.assert_array_equal(fields[1], patches.images[1])
        assert fields[2:9].shape == (1, 224, 224, 3)
        np.testing.assert_array_equal(fields.coords, patches.coords)
        np.testing.assert_array_equal(fields.padded, patches.padded)
        assert fields.barcodes.tolist() == patches.barcodes.tolist()
        assert (fields.field_px, fields.um_per_px) == (patches.field_px, patches.um_per_px)


def test_patches_of_other_spots_are_refused(section, tmp_path):
    cut_patches(*section(), View(field_px=224), tmp_path / "p.h5")
    others = read_patches(tmp_path / "p.h5").barcodes[::-1]
    with pytest.raises(UserError, match="belongs to other spots than its section has"):
        read_patches(tmp_path / "p.h5", others)


def test_a_wider_field_shows_more_in_as_many_pixels(section, tmp_path):
    cut_patches(*section(), View(field_px=448), tmp_path / "p.h5")
    patches = read_patches(tmp_path / "p.h5")
    assert patches.images.shape == (3, 224, 224, 3)
    assert patches.coords[0].tolist() == [376, 177]
    plain = picture()[177 : 177 + 448, 376 : 376 + 448].astype(float)
    halved = plain.reshape(224, 2, 224, 2, 3).mean(axis=(1, 3))
    inner = (slice(80, 100), slice(80, 100), 2)
    np.testing.assert_allclose(patches.images[0][inner], halved[inner], atol=1)


def test_a_wanted_pixel_size_sets_the_field(section, tmp_path):
    cut_patches(*section(um_per_px=0.8), View(um_per_px=0.5), tmp_path / "p.h5")
    patches = read_patches(tmp_path / "p.h5")
    assert patches.field_px == pytest.approx(140)
    assert patches.um_per_px == pytest.approx(0.5)
    assert patches.coords[0].tolist() == [530, 331]


def test_a_wanted_pixel_size_needs_a_known_one(section, tmp_path):
    with pytest.raises(UserError, match="give um_per_px in the sample sheet"):
        cut_patches(*section(), View(um_per_px=0.5), tmp_path / "p.h5")


@pytest.mark.parametrize(
    "view", [{}, {"field_px": 224, "um_per_px": 0.5}, {"field_px": 0}, {"field": 224}]
)
def test_a_view_has_one_key(view):
    with pytest.raises(ValidationError):
        View.model_validate(view)


def test_a_damaged_slide_leaves_nothing_behind(section, tmp_path):
    slide, path = section()
    slide.write_bytes(slide.read_bytes()[:5000])
    folder = tmp_path / "patches"
    with pytest.raises(UserError, match="damaged or cut short"):
        cut_patches(slide, path, View(field_px=224), folder / "p.h5")
    assert list(folder.iterdir()) == []


def test_what_is_no_patch_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_patches(tmp_path / "none.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["numbers"] = [1]
    with pytest.raises(UserError, match="not a patch file: it lacks img"):
        read_patches(tmp_path / "other.h5")


MEASURE = """
import sys, time
from reg2st.base.memory import peak_memory_bytes
from reg2st.features.fields import View
from reg2st.features.patches import cut_patches
start = time.process_time()
cut_patches(sys.argv[1], sys.argv[2], View(field_px=224), sys.argv[3])
print(time.process_time() - start, peak_memory_bytes())
"""


def cut_within_bounds(slide, section, folder):
    """Patches of a section, cut in a process of their own within 10 s and 1 GB."""
    path, patches = folder / "section.h5ad", folder / "patches.h5"
    write_section(section, path)
    seconds, peak = map(float, printed_by(MEASURE, slide, path, patches).split())
    assert seconds < 10
    assert peak < 1e9
    return read_patches(patches)


def test_a_slide_as_large_as_a_real_one_is_cut_within_bounds(tmp_path):
    """A JPEG of 9,272 x 9,923 px with 289 spots; section B4 of HER2+ has as many pixels."""
    slide = tmp_path / "slide.jpg"
    pixels = np.tile(picture(), (12, 8, 1))[:9923, :9272]
    Image.fromarray(pixels).save(slide)
    spots = [f"{x}x{y}\t1" for x in range(1, 18) for y in range(1, 18)]
    (tmp_path / "counts.tsv").write_text("\n".join(["\tACTB", *spots]))
    rows = [f"{x}\t{y}\t{500 * x}\t{500 * y}" for x in range(1, 18) for y in range(1, 18)]
    (tmp_path / "spots.tsv").write_text("\n".join(["x\ty\tpixel_x\tpixel_y", *rows]))
    tables = {kind: tmp_path / f"{kind}.tsv" for kind in ("counts", "spots")}
    section = read_st("S1", dataset="large", patient="P", image=slide, **tables)
    patches = cut_within_bounds(slide, section, tmp_path)
    assert not patches.padded.any()
    for (x, y), image in zip(patches.coords[::50], patches.images[::50], strict=True):
        expected = pixels[y : y + 224, x : x + 224]
        assert image.mean() == pytest.approx(expected.mean(), abs=2)


def test_a_real_section_is_cut_within_its_bounds(shared, tmp_path):
    data = shared / "data" / "her2st"
    slide = data / "ST-imgs" / "B" / "B4" / "BT10737_D2_HE.jpg"
    section = read_st(
        "B4",
        dataset="her2st",
        patient="B",
        image=slide,
        counts=data / "ST-cnts" / "B4.tsv.gz",
        spots=data / "ST-spotfiles" / "B4_selection.tsv",
    )
    patches = cut_within_bounds(slide, section, tmp_path)
    assert not patches.padded.any()
    assert (patches.images[:].mean(axis=(1, 2, 3)) < 215).all()
