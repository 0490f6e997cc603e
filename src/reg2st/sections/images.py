"""Plain images: which picture of a file is the slide, and what its pixels mean.

What has one meaning becomes 8-bit RGB: grey and colour of 8 bits, 16-bit values that fill their
range, float values from 0 to 1. Anything else is refused, with what the file is.
"""

import gzip
import io
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image

from reg2st.base.errors import UserError

if TYPE_CHECKING:
    import tifffile

log = logging.getLogger(__name__)

LARGEST_PLAIN_IMAGE_PX = 2_000_000_000
"""A plain image is decoded whole, at 4 bytes a pixel; larger slides should be pyramids."""

Image.MAX_IMAGE_PIXELS = LARGEST_PLAIN_IMAGE_PX // 2  # Pillow warns there, and refuses twice that

WHITE = (255, 255, 255)
GZIP = b"\x1f\x8b"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

ORIENTATION = 274
"""The tag of TIFF and EXIF; 1 is upright."""

SUBFILE_TYPE, MASK = 254, 4

SCALED = ("I;16", "I;16L", "I;16B", "I;16N", "F")
"""Pillow's modes of grey images that are scaled to 8 bits."""

REFUSED = {"1": "one bit a pixel, such as a mask", "I": "32-bit or signed whole numbers"}
"""Pillow's modes of images that are no pictures of tissue."""

DAMAGE = (OSError, SyntaxError, ValueError)
"""What Pillow raises at a damaged image."""


@dataclass(frozen=True)
class TiffPage:
    """One page of a TIFF.

    Attributes:
        number: its place in the file, from 0.
        size_px: width and height as stored.
        channels: samples a pixel.
        bits: bits a sample.
        orientation: value of the tag; 1 is upright.
    """

    number: int
    size_px: tuple[int, int]
    channels: int
    bits: int
    orientation: int

    def refuse_turned(self, path: Path) -> None:
        """Refuse a page that is to be turned, where the reader does not do it.

        Raises:
            UserError: its orientation is not upright.
        """
        if self.orientation != 1:
            raise UserError(
                f"{path} has the orientation tag {self.orientation}, which programs read in "
                "different ways; save it upright, without the tag."
            )


def tiff_slide(path: Path) -> TiffPage | None:
    """The page of a TIFF that is the slide: the largest one; None if the file is no whole TIFF.

    Raises:
        UserError: several pages are of that size.
    """
    try:
        with _pages(path) as pages:
            found = [_described(page) for page in pages if not _is_mask(page)]
    except Exception:  # tifffile raises many kinds at damaged files; the reader names the damage
        return None
    if not found:
        return None
    largest = max(found, key=lambda page: page.size_px[0] * page.size_px[1])
    equal = [page for page in found if page.size_px == largest.size_px]
    if len(equal) > 1:
        kind = "of one channel each" if largest.channels == 1 else "of the same size"
        raise UserError(
            f"{path} is a TIFF of {len(equal)} pages {kind}, not one picture; save the H&E "
            "picture as one RGB page."
        )
    return largest


@dataclass(frozen=True)
class PlainImage:
    """A picture in a file that is decoded whole.

    Attributes:
        path: the file, gzipped or not.
        size_px: width and height.
        page: the page of a TIFF; 0 else.
        by_pillow: whether Pillow reads it; else tifffile does.
        mode: Pillow's mode; "" for tifffile.
        halved: whether its channels have 16 bits, of which Pillow keeps the upper 8.
    """

    path: Path
    size_px: tuple[int, int]
    page: int = 0
    by_pillow: bool = True
    mode: str = ""
    halved: bool = False

    @classmethod
    def find(cls, path: Path) -> "PlainImage":
        """The slide's picture in a file.

        Raises:
            UserError: the file is no image, damaged or too large, or its pixels have no one
                meaning.
        """
        page = tiff_slide(path) if _is_tiff(path) else None
        number = page.number if page else 0
        try:
            with _open(path, number) as image:
                halved = image.mode not in SCALED and ";16" in str(image.tile)
                found = cls(path, image.size, number, mode=image.mode, halved=halved)
                orientation = _orientation(image) if page is None else page.orientation
        except Image.UnidentifiedImageError as error:
            if page is None:
                raise UserError(
                    f"{path} is no image that OpenSlide or Pillow can read; check that the "
                    "download is complete and that the sample sheet names the right file."
                ) from error
            page.refuse_turned(path)
            orientation = 1
            found = cls(path, page.size_px, number, by_pillow=False)
        if found.size_px[0] * found.size_px[1] > LARGEST_PLAIN_IMAGE_PX:
            raise _too_large(path)
        if found.mode in REFUSED:
            raise UserError(
                f"{path} is an image of {REFUSED[found.mode]} (mode {found.mode}), not a picture "
                "of tissue; save the H&E picture as 8-bit RGB."
            )
        if orientation != 1:
            log.warning(
                "%s is marked to be turned (orientation %d) and is read %s: the pixels of the "
                "spots must be those of the picture %s.",
                path,
                orientation,
                *(("turned", "as it is shown") if page else ("as it is", "as it is stored")),
            )
        return found

    def thumbnail(self, max_px: int) -> Image.Image:
        """The picture with its longer side at most ``max_px``, RGB; JPEG is decoded coarsely.

        Raises:
            UserError: the file is damaged.
        """
        if not self.by_pillow or self.mode in SCALED or self.halved:
            image = self.load()
            image.thumbnail((max_px, max_px))
            return image
        image = _open(self.path, self.page)
        try:
            image.thumbnail((max_px, max_px))
        except DAMAGE as error:
            raise damaged(self.path, error) from error
        return on_white(image)

    def load(self) -> Image.Image:
        """The whole picture, RGB.

        Raises:
            UserError: the file is damaged, its values have no one meaning, or a codec is missing.
        """
        if not self.by_pillow:
            return self._load_by_tifffile()
        image = _open(self.path, self.page)
        try:
            image.load()
        except DAMAGE as error:
            raise damaged(self.path, error) from error
        if self.mode in SCALED:
            return Image.fromarray(eight_bit(np.asarray(image), self.path)).convert("RGB")
        if self.halved and (most := np.asarray(image.convert("RGB")).max()) < 1 << 7:
            raise _without_white(self.path, f"16-bit values below {(int(most) + 1) << 8}")
        return on_white(image)

    def _load_by_tifffile(self) -> Image.Image:
        with _pages(self.path) as pages:
            page = pages[self.page]
            about = f"{page.photometric.name}, {page.compression.name}, {page.dtype}"
            try:
                values = page.asarray(squeeze=True)
            except (ImportError, ValueError) as error:
                if "imagecodecs" not in str(error):
                    raise damaged(self.path, error) from error
                raise UserError(
                    f"{self.path} is compressed by {page.compression.name}, whose codec is "
                    "missing; install the package imagecodecs, or save the picture as RGB TIFF "
                    "with LZW."
                ) from error
            except Exception as error:  # codecs raise errors of their own
                raise damaged(self.path, error) from error
            if page.planarconfig == 2:
                values = np.moveaxis(values, 0, -1)
        channels = values.shape[2] if values.ndim == 3 else 1
        if page.photometric.name not in ("RGB", "MINISBLACK") or channels not in (1, 3, 4):
            raise UserError(
                f"{self.path} is a TIFF of {channels} channels ({about}), not a picture in RGB or "
                "grey; save the H&E picture as 8-bit RGB."
            )
        return on_white(Image.fromarray(eight_bit(values, self.path)))


def eight_bit(values: np.ndarray, path: Path) -> np.ndarray:
    """Pixels as uint8, by the range of their type; float ones from 0 to 1.

    Raises:
        UserError: their range is unknown.
    """
    if values.dtype == np.uint8:
        return values
    least, most = values.min(), values.max()
    if values.dtype.kind == "u" and values.itemsize == 2 and most >= 1 << 15:
        return (values >> 8).astype(np.uint8)
    if values.dtype.kind == "f" and least >= 0 and most <= 1:
        return np.rint(values * 255).astype(np.uint8)
    raise _without_white(path, f"{values.dtype.name} values from {least:g} to {most:g}")


def on_white(image: Image.Image) -> Image.Image:
    """An image as RGB; what is transparent becomes white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, WHITE)
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _without_white(path: Path, values: str) -> UserError:
    return UserError(
        f"{path} holds {values}, which do not say what is white; save the picture as 8-bit RGB."
    )


def damaged(path: Path, error: Exception) -> UserError:
    """The sentence on a file that a reader cannot decode."""
    return UserError(f"The slide {path} is damaged or cut short ({error}); fetch it again.")


def _open(path: Path, page: int) -> Image.Image:
    """A picture, not yet decoded."""
    try:
        image = Image.open(_stream(path) if _begins(path, GZIP) else path)
        if page:
            image.seek(page)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise damaged(path, error) from error
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    return image


def _stream(path: Path) -> BinaryIO:
    if _begins(path, GZIP):
        return io.BytesIO(gzip.decompress(path.read_bytes()))
    return open(path, "rb")


def _begins(path: Path, *starts: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(max(map(len, starts))).startswith(starts)


def _is_tiff(path: Path) -> bool:
    if not _begins(path, GZIP):
        return _begins(path, *TIFF)
    try:
        with gzip.open(path) as file:
            return file.read(4) in TIFF
    except (OSError, EOFError, zlib.error):
        return False


@contextmanager
def _pages(path: Path) -> "Iterator[tifffile.TiffPages]":
    import tifffile

    with _stream(path) as file, tifffile.TiffFile(file) as tiff:
        yield tiff.pages


def _described(page: Any) -> TiffPage:
    return TiffPage(
        page.index,
        (page.imagewidth, page.imagelength),
        page.samplesperpixel,
        page.bitspersample,
        _tag(page, ORIENTATION, 1),
    )


def _is_mask(page: Any) -> bool:
    return bool(_tag(page, SUBFILE_TYPE, 0) & MASK)


def _tag(page: Any, number: int, default: int) -> int:
    tag = page.tags.get(number)
    return default if tag is None else int(tag.value)


def _orientation(image: Image.Image) -> int:
    """Orientation that EXIF gives; 1 is upright."""
    return image.getexif().get(ORIENTATION, 1) if "exif" in image.info else 1


def _too_large(path: Path) -> UserError:
    return UserError(
        f"{path} has more than {LARGEST_PLAIN_IMAGE_PX:.0e} pixels, too many for a plain image; "
        "convert it to a tiled pyramidal TIFF."
    )
