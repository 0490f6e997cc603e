"""Slides: pyramids and plain images, regions beyond the edge, damaged files."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from reg2st.base.errors import UserError
from reg2st.sections.slides import BYTES_A_DECODED_PX, decoded_mb, open_slide

WIDTH, HEIGHT = 1200, 900


def picture(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Every pixel tells its column (red), its row (green) and both blocks of 256 (blue)."""
    rows, columns = np.mgrid[:height, :width]
    blocks = 16 * (columns // 256) + rows // 256
    return np.stack([columns % 256, rows % 256, blocks], axis=2).astype(np.uint8)


def write_pyramid(path: Path, levels: list[np.ndarray], um_per_px: float | None = 0.5) -> Path:
    with tifffile.TiffWriter(path) as file:
        for number, level in enumerate(levels):
            per_cm = 1e4 / um_per_px / 2**number if um_per_px else 1
            file.write(
                level,
                tile=(256, 256),
                photometric="rgb",
                subfiletype=1 if number else 0,
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER" if um_per_px else "NONE",
                metadata=None,
            )
    return path


@pytest.fixture
def pyramid(tmp_path) -> Path:
    whole = picture()
    return write_pyramid(tmp_path / "slide.tif", [whole, whole[::2, ::2], whole[::4, ::4]])


@pytest.fixture
def png(tmp_path) -> Path:
    path = tmp_path / "slide.png"
    Image.fromarray(picture()).save(path)
    return path


@pytest.mark.parametrize("kind", ["pyramid", "png"])
def test_a_region_is_the_picture_there(kind, request):
    with open_slide(request.getfixturevalue(kind)) as slide:
        assert slide.size_px == (WIDTH, HEIGHT)
        np.testing.assert_array_equal(slide.read(300, 100, 40, 30), picture()[100:130, 300:340])


@pytest.mark.parametrize("kind", ["pyramid", "png"])
@pytest.mark.parametrize("corner", [(-10, -20), (WIDTH - 15, HEIGHT - 5), (WIDTH + 5, 0)])
def test_beyond_the_edge_is_white(kind, corner, request):
    x, y = corner
    margin = 100
    padded = np.pad(picture(), ((margin, margin), (margin, margin), (0, 0)), constant_values=255)
    with open_slide(request.getfixturevalue(kind)) as slide:
        region = slide.read(x, y, 40, 50)
        assert not slide.contains(x, y, 40, 50)
    rows, columns = slice(y + margin, y + margin + 50), slice(x + margin, x + margin + 40)
    np.testing.assert_array_equal(region, padded[rows, columns])


def test_contains_its_own_corners(png):
    with open_slide(png) as slide:
        assert slide.contains(0, 0, WIDTH, HEIGHT)
        assert slide.contains(WIDTH - 224, HEIGHT - 224, 224, 224)
        assert not slide.contains(WIDTH - 223, 0, 224, 224)
        assert not slide.contains(0, -1, 224, 224)


@pytest.mark.parametrize("kind", ["pyramid", "png"])
def test_resampling_averages_rather_than_picks(kind, tmp_path):
    board = np.indices((512, 512)).sum(axis=0) % 2 * 255
    board = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    if kind == "pyramid":
        path = write_pyramid(tmp_path / "board.tif", [board])
    else:
        path = tmp_path / "board.png"
        Image.fromarray(board).save(path)
    with open_slide(path) as slide:
        half = slide.read(32, 32, 448, 448, output_px=224)
    assert half.shape == (224, 224, 3)
    assert np.abs(half[4:-4, 4:-4].astype(int) - 127).max() <= 1


def test_a_fraction_of_a_pixel_counts_when_resampling(tmp_path):
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0)
    path = tmp_path / "ramp.png"
    Image.fromarray(np.repeat(ramp, 3, axis=2)).save(path)
    with open_slide(path) as slide:
        row = slide.read(20, 20, 100.8, 100.8, output_px=50)[25, :, 0].astype(float)
    centres = 20 + (np.arange(50) + 0.5) * 100.8 / 50 - 0.5
    assert np.abs(row - centres)[2:-2].max() <= 1


def test_a_pyramid_is_read_at_the_coarsest_level_that_is_fine_enough(tmp_path):
    red, green = (np.zeros((1024, 1024, 3), np.uint8) for _ in range(2))
    red[..., 0], green[..., 1] = 200, 200
    path = write_pyramid(tmp_path / "levels.tif", [red, green[::2, ::2]])
    with open_slide(path) as slide:
        at_1_5 = slide.read(100, 100, 336, 336, output_px=224)
        at_2 = slide.read(100, 100, 448, 448, output_px=224)
    assert at_1_5[100, 100].tolist() == [200, 0, 0]
    assert at_2[100, 100].tolist() == [0, 200, 0]


@pytest.mark.parametrize("kind", ["pyramid", "png"])
@pytest.mark.parametrize("side_px", [64, 60, 37.5, 150.3, 260])
def test_overlapping_squares_are_as_if_read_one_by_one(kind, side_px, request):
    """Upsampled, as they are, resampled from level 0, from level 1; over an edge of the slide."""
    corners = np.array([[x, y] for y in (-9, 4) for x in range(-20, 180, 13)])
    with open_slide(request.getfixturevalue(kind)) as slide:
        squares = slide.read_squares(corners, side_px, 64)
        one_by_one = [slide.read(x, y, side_px, side_px, 64) for x, y in corners.tolist()]
        np.testing.assert_array_equal(squares, one_by_one)
        far_apart = np.array([[0, 0], [900, 700]])
        np.testing.assert_array_equal(
            slide.read_squares(far_apart, 64, 64)[1], picture()[700:764, 900:964]
        )


def test_the_pixel_size_is_the_files_own(pyramid, png, tmp_path):
    with open_slide(pyramid) as slide:
        assert slide.um_per_px == pytest.approx(0.5, rel=1e-3)
    with open_slide(png) as slide:
        assert slide.um_per_px is None
    unknown = write_pyramid(tmp_path / "unknown.tif", [picture()], um_per_px=None)
    printed = write_pyramid(tmp_path / "printed.tif", [picture()], um_per_px=352.8)
    for path in (unknown, printed):
        with open_slide(path) as slide:
            assert slide.um_per_px is None


def test_the_pixel_size_of_a_scanners_overview_is_no_printing_resolution(tmp_path):
    path = tmp_path / "overview.svs"
    said = "Aperio Image Library v1\n1000x800|MPP = 29.0"
    tifffile.imwrite(
        path, picture(), tile=(256, 256), photometric="rgb", description=said, metadata=None
    )
    with open_slide(path) as slide:
        assert slide.um_per_px == 29.0


@pytest.mark.parametrize("kind", ["pyramid", "png"])
def test_the_thumbnail_keeps_the_shape(kind, request):
    with open_slide(request.getfixturevalue(kind)) as slide:
        thumbnail = slide.thumbnail(400)
    assert thumbnail.shape == (300, 400, 3)
    assert thumbnail.dtype == np.uint8


def test_a_jpeg_is_read_as_pillow_reads_it_gzipped_or_not(tmp_path):
    plain = tmp_path / "slide.jpg"
    Image.fromarray(picture()).save(plain, quality=90)
    packed = tmp_path / "slide.jpg.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    expected = np.asarray(Image.open(plain))[50:250, 600:900]
    for path in (plain, packed):
        with open_slide(path) as slide:
            np.testing.assert_array_equal(slide.read(600, 50, 300, 200), expected)
            assert slide.thumbnail(300).shape == (225, 300, 3)


def test_transparency_is_white_and_grey_is_three_channels(tmp_path):
    clear = np.zeros((100, 100, 4), np.uint8)
    clear[:50, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    Image.fromarray(np.full((100, 100), 77, np.uint8)).save(tmp_path / "grey.png")
    with open_slide(tmp_path / "clear.png") as slide:
        region = slide.read(0, 0, 100, 100)
        assert region[10, 10].tolist() == [0, 0, 0]
        assert region[90, 90].tolist() == [255, 255, 255]
    with open_slide(tmp_path / "grey.png") as slide:
        assert slide.read(0, 0, 4, 4)[0, 0].tolist() == [77, 77, 77]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".jpg.gz", ".tif"])
def test_a_file_cut_short_is_one_sentence(suffix, tmp_path, pyramid):
    path = tmp_path / f"cut{suffix}"
    if suffix == ".tif":
        whole = pyramid.read_bytes()
    else:
        noise = np.random.default_rng(0).integers(0, 255, (600, 600, 3), dtype=np.uint8)
        plain = tmp_path / f"whole{suffix.removesuffix('.gz')}"
        Image.fromarray(noise).save(plain)
        whole = plain.read_bytes()
        if suffix.endswith(".gz"):
            whole = gzip.compress(whole)
    path.write_bytes(whole[: len(whole) // 2])
    refused = pytest.raises(UserError, match=r"damaged or cut short|no image")
    with refused as caught, open_slide(path) as slide:
        for x in range(0, slide.size_px[0], 100):
            for y in range(0, slide.size_px[1], 100):
                slide.read(x, y, 100, 100)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_thumbnail_of_a_jpeg_cut_short_is_refused_too(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (2000, 2000, 3), dtype=np.uint8)
    path = tmp_path / "cut.jpg"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:100_000])
    with open_slide(path) as slide, pytest.raises(UserError, match="damaged or cut short"):
        slide.thumbnail(500)


def test_what_is_no_image_is_one_sentence(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("<html>404: Not Found</html>")
    with pytest.raises(UserError, match="no image"):
        open_slide(path)
    with pytest.raises(UserError, match="does not exist"):
        open_slide(tmp_path / "nothing.jpg")


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    with pytest.raises(UserError, match="too many for a plain image"):
        open_slide(path)


def test_an_image_decoded_whole_takes_its_pixels_and_a_pyramid_its_smallest_level(
    png, pyramid, tmp_path
):
    height, width = picture().shape[:2]
    assert decoded_mb(png) == pytest.approx(BYTES_A_DECODED_PX * width * height / 1e6)
    assert decoded_mb(pyramid) == pytest.approx(decoded_mb(png) / 16, rel=0.02)
    one_level = write_pyramid(tmp_path / "one.tif", [picture()])
    assert decoded_mb(one_level) == decoded_mb(png)


def test_what_no_image_takes_is_left_to_the_job_and_a_missing_one_to_the_caller(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    assert decoded_mb(tmp_path / "text.png") == 0
    with pytest.raises(FileNotFoundError):
        decoded_mb(tmp_path / "none.png")
