"""Images of unusual pixels or pages: read where they have one meaning, else refused."""

import gzip
import logging
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from reg2st.base.errors import UserError
from reg2st.sections.slides import open_slide

TILES = {"tile": (128, 128)}


def colours() -> np.ndarray:
    """A bright picture whose every pixel differs from its neighbours: uint8 [300, 400, 3]."""
    rows, columns = np.mgrid[:300, :400]
    return np.stack([columns % 156 + 100, rows % 156 + 100, (rows + columns) % 200], 2).astype(
        np.uint8
    )


GREY = colours()[..., 0]
GREY_RGB = np.repeat(GREY[..., None], 3, axis=2)


def pixels(path) -> np.ndarray:
    with open_slide(path) as slide:
        thumbnail = slide.thumbnail(100)
        assert max(thumbnail.shape) == 100
        region = slide.read(0, 0, *slide.size_px)
    assert abs(thumbnail.mean() - region.mean()) < 3
    return region


WRITTEN = {
    "16-bit grey": (GREY.astype(np.uint16) * 257, {}, GREY_RGB),
    "16-bit grey, tiled": (GREY.astype(np.uint16) * 257, TILES, GREY_RGB),
    "16-bit RGB": (colours().astype(np.uint16) * 257, {}, colours()),
    "16-bit RGB, tiled": (colours().astype(np.uint16) * 257, TILES, colours()),
    "float grey": (GREY / np.float32(255), {}, GREY_RGB),
    "float RGB": (colours() / np.float32(255), {}, colours()),
    "double grey": (GREY / 255, {}, GREY_RGB),
    "planar": (np.moveaxis(colours(), 2, 0), {"planarconfig": "separate"}, colours()),
    "JPEG 2000": (colours(), {"compression": "jpeg2000"}, colours()),
    "JPEG 2000, tiled": (colours(), {"compression": "jpeg2000", **TILES}, colours()),
    "LZW": (colours(), {"compression": "lzw", "predictor": True}, colours()),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_tiff_with_one_meaning_is_read(kind, tmp_path):
    values, options, expected = WRITTEN[kind]
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, values, photometric=photometric, **options)
    np.testing.assert_array_equal(pixels(path), expected)


def test_a_16_bit_grey_png_is_scaled_by_its_type(tmp_path):
    path = tmp_path / "slide.png"
    Image.fromarray(GREY.astype(np.uint16) * 257).save(path)
    np.testing.assert_array_equal(pixels(path), GREY_RGB)


def png_16(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write."""
    import imagecodecs

    return imagecodecs.png_encode(values)


def test_a_16_bit_rgb_png_is_read_if_it_fills_its_range(tmp_path):
    path = tmp_path / "slide.png"
    path.write_bytes(png_16(colours().astype(np.uint16) * 257))
    np.testing.assert_array_equal(pixels(path), colours())
    path.write_bytes(png_16(colours().astype(np.uint16) * 16))
    for read in (lambda slide: slide.thumbnail(100), lambda slide: slide.read(0, 0, 9, 9)):
        with pytest.raises(UserError, match="16-bit values below 4096"), open_slide(path) as slide:
            read(slide)


def test_a_gzipped_image_is_told_by_its_content(tmp_path):
    plain, path = tmp_path / "slide.tif", tmp_path / "slide.tiff"
    tifffile.imwrite(plain, colours(), photometric="rgb", compression="jpeg2000")
    path.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(pixels(path), colours())


REFUSED = {
    "one bit": ([GREY > 150], {}, "one bit a pixel, such as a mask (mode 1)"),
    "12 bits in 16": ([GREY.astype(np.uint16) * 16], {}, "uint16 values from 1600 to 4080"),
    "12 bits in 16, RGB": ([colours().astype(np.uint16) * 16], {}, "16-bit values below 4096"),
    "12 bits in 16, RGB, tiled": (
        [colours().astype(np.uint16) * 16],
        TILES,
        "16-bit values below 4096",
    ),
    "float of 0 to 255": ([GREY.astype(np.float32)], {}, "float32 values from 100 to 255"),
    "float with a hole": ([np.full((300, 400), np.nan, np.float32)], {}, "values from nan to nan"),
    "signed": ([GREY.astype(np.int16)], {}, "signed whole numbers (mode I)"),
    "32 bits": ([GREY.astype(np.int32)], {}, "32-bit or signed whole numbers (mode I)"),
    "three one-band pages": ([GREY, GREY, GREY], {}, "a TIFF of 3 pages of one channel each"),
    "three one-band pages, tiled": ([GREY, GREY, GREY], TILES, "3 pages of one channel each"),
    "two pictures": ([colours(), colours()], {}, "a TIFF of 2 pages of the same size"),
    "turned tiles": (
        [colours()],
        {**TILES, "extratags": [(274, 3, 1, 6, True)]},
        "has the orientation tag 6",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_tiff_without_one_meaning_is_refused_with_what_it_is(kind, tmp_path):
    pages, options, told = REFUSED[kind]
    path = tmp_path / "slide.tif"
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", **options)
    with pytest.raises(UserError) as caught:
        pixels(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_one_bit_png_is_refused(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(GREY > 150).save(path)
    with pytest.raises(UserError, match="one bit a pixel, such as a mask"):
        open_slide(path)


@pytest.mark.parametrize("tiled", [(), ("thumbnail", "slide"), ("slide",)])
def test_the_largest_page_is_the_slide(tiled, tmp_path):
    path = tmp_path / "slide.tif"
    small = np.ascontiguousarray(colours()[::4, ::4])
    with tifffile.TiffWriter(path) as file:
        for name, page in (("thumbnail", small), ("slide", colours())):
            file.write(page, photometric="rgb", **(TILES if name in tiled else {}))
    np.testing.assert_array_equal(pixels(path), colours())


def test_a_mask_of_the_same_size_is_no_second_picture(tmp_path):
    path = tmp_path / "slide.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(colours(), photometric="rgb")
        file.write(GREY > 150, photometric="mask", subfiletype=4)
    np.testing.assert_array_equal(pixels(path), colours())


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_exif_turn_is_not_applied_and_said(suffix, tmp_path, caplog):
    path, turn = tmp_path / f"slide{suffix}", Image.Exif()
    turn[274] = 6
    Image.fromarray(colours()).save(path, exif=turn)
    stored = np.asarray(Image.open(path))
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(pixels(path), stored)
    assert "orientation 6) and is read as it is" in caplog.text


def test_a_turned_tiff_is_read_turned_and_said(tmp_path, caplog):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, colours(), photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    np.testing.assert_array_equal(pixels(path), np.rot90(colours(), -1))
    assert "orientation 6) and is read turned" in caplog.text


WITHOUT_CODECS = """
import sys
sys.modules["imagecodecs"] = None  # as where it is not installed
from reg2st.sections.slides import open_slide
with open_slide(sys.argv[1]) as slide:
    slide.read(0, 0, 10, 10)
"""


def test_a_missing_codec_is_named(tmp_path):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, colours(), photometric="rgb", compression="jpeg2000")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CODECS, path], capture_output=True, text=True
    )
    assert "is compressed by JPEG2000, whose codec is missing; install the package" in done.stderr


def test_a_jpeg_2000_tiff_cut_short_is_one_sentence(tmp_path):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, colours(), photometric="rgb", compression="jpeg2000", rowsperstrip=300)
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[start : start + 5000] = bytes(5000)
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged or cut short"), open_slide(path) as slide:
        slide.read(0, 0, 10, 10)
