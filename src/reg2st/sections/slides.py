"""Read regions of slides: OpenSlide's tiled pyramids, or plain JPEG and PNG, gzipped or not.

Files of patches are read as slides too (``sections.stored_patches``).

Coordinates are pixels of level 0, x the column and y the row.
"""

import math
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from PIL import Image

from reg2st.base.errors import UserError
from reg2st.sections.images import WHITE, PlainImage, damaged, on_white, tiff_slide

if TYPE_CHECKING:
    import openslide

PLAUSIBLE_UM_PER_PX = (0.05, 20.0)
"""Printing resolutions such as 72 dots an inch, left in plain TIFFs by editors, fall outside. The
upper bound does not concern formats of scanners, which hold overviews too."""

PLAIN_TIFF = "generic-tiff"
"""OpenSlide's name of a tiled TIFF without a vendor's marks."""

BYTES_A_DECODED_PX = 8
"""Four of an image in memory, and four while it is converted to another mode or scale."""

CACHE_BYTES = 256 << 20
"""Decoded tiles that are kept: two rows of tiles of a wide slide, since fields overlap."""


class Slide:
    """An open slide; a context manager. Several threads may read it at once.

    Attributes:
        path: the file it was opened from.
        size_px: width and height of level 0.
        um_per_px: micrometres a pixel of level 0, None where the file does not say.
    """

    path: Path
    size_px: tuple[int, int]
    um_per_px: float | None = None

    def __enter__(self) -> "Slide":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file and its memory back."""

    @property
    def most_px(self) -> int:
        """Number of pixels that are decoded at once: for a region, or for a thumbnail."""
        width, height = self.size_px
        return width * height

    def contains(self, x: float, y: float, width: float, height: float) -> bool:
        """Whether a region lies wholly inside the slide."""
        slide_width, slide_height = self.size_px
        return x >= 0 and y >= 0 and x + width <= slide_width and y + height <= slide_height

    def read(
        self, x: int, y: int, width: float, height: float, output_px: int | None = None
    ) -> np.ndarray:
        """The region with its top left corner at (x, y), white where it leaves the slide.

        Args:
            x, y: whole pixels of level 0, negative ones allowed.
            width, height: pixels of level 0, fractions allowed when resampling.
            output_px: side of the square returned, by antialiased bicubic resampling;
                None returns the pixels as they are.

        Returns:
            uint8 ``[height, width, 3]`` or ``[output_px, output_px, 3]``.

        Raises:
            UserError: the file is damaged.
        """
        reduction = 1.0 if output_px is None else width / output_px
        image, downsample = self._read_level(x, y, width, height, reduction)
        if output_px is not None:
            image = _resampled(image, width / downsample, height / downsample, output_px)
        return np.asarray(image)

    def read_squares(self, corners: np.ndarray, side_px: float, output_px: int) -> np.ndarray:
        """Squares of one size, each as ``read`` returns it.

        Args:
            corners: int64 ``[n, 2]``, top left corners (x, y), pixels of level 0; n is at least 1.
            side_px: side of the squares, pixels of level 0.
            output_px: side of the squares returned.

        Returns:
            uint8 ``[n, output_px, output_px, 3]``.

        Raises:
            UserError: the file is damaged.
        """
        return np.stack([self.read(x, y, side_px, side_px, output_px) for x, y in corners.tolist()])

    def thumbnail(self, max_px: int) -> np.ndarray:
        """The whole slide, its longer side at most ``max_px``: uint8 ``[h, w, 3]``."""
        raise NotImplementedError

    def _read_level(
        self, x: int, y: int, width: float, height: float, reduction: float
    ) -> tuple[Image.Image, float]:
        """The region at the coarsest stored level not coarser than ``reduction``.

        Returns the image and the downsampling of that level.
        """
        raise NotImplementedError


class Pyramid(Slide):
    """A slide that OpenSlide reads, tile by tile.

    Attributes:
        handle: OpenSlide's own object.
    """

    def __init__(self, path: Path) -> None:
        import openslide

        self.path = path
        self._damage = openslide.OpenSlideError
        try:
            self.handle: openslide.OpenSlide = openslide.OpenSlide(path)
        except openslide.OpenSlideError as error:
            raise damaged(path, error) from error
        self.handle.set_cache(openslide.OpenSlideCache(CACHE_BYTES))
        self.size_px = self.handle.dimensions
        self.um_per_px = _um_per_px(self.handle.properties)

    @property
    def most_px(self) -> int:
        return min(width * height for width, height in self.handle.level_dimensions)

    def close(self) -> None:
        self.handle.close()

    def thumbnail(self, max_px: int) -> np.ndarray:
        try:
            image = self.handle.get_thumbnail((max_px, max_px))
        except self._damage as error:
            raise damaged(self.path, error) from error
        return np.asarray(on_white(image))

    def read_squares(self, corners: np.ndarray, side_px: float, output_px: int) -> np.ndarray:
        """As for every slide; squares that overlap are cut from one region that holds them all.

        That gives the same pixels at level 0 only: between the pixels of a coarser level OpenSlide
        interpolates, by where a region begins.
        """
        side = math.ceil(side_px)
        x, y = corners.min(axis=0).tolist()
        width, height = (corners.max(axis=0) + side).tolist()
        width, height = width - x, height - y
        level = self.handle.get_best_level_for_downsample(side_px / output_px)
        if level > 0 or width * height >= len(corners) * side**2:
            return super().read_squares(corners, side_px, output_px)
        region, _ = self._read_level(x, y, width, height, 1.0)
        squares = []
        for left, top in (corners - (x, y)).tolist():
            square = region.crop((left, top, left + side, top + side))
            squares.append(np.asarray(_resampled(square, side_px, side_px, output_px)))
        return np.stack(squares)

    def _read_level(
        self, x: int, y: int, width: float, height: float, reduction: float
    ) -> tuple[Image.Image, float]:
        level = self.handle.get_best_level_for_downsample(reduction)
        downsample = self.handle.level_downsamples[level]
        size = (math.ceil(width / downsample), math.ceil(height / downsample))
        try:
            image = self.handle.read_region((x, y), level, size)
        except self._damage as error:
            raise damaged(self.path, error) from error
        return on_white(image), downsample


class Picture(Slide):
    """A JPEG, PNG or any other image that is decoded once, whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stored = PlainImage.find(path)
        self.size_px = self._stored.size_px
        self._decoded: Image.Image | None = None
        self._decoding = threading.Lock()

    def close(self) -> None:
        self._decoded = None

    def thumbnail(self, max_px: int) -> np.ndarray:
        if self._decoded is None:
            return np.asarray(self._stored.thumbnail(max_px))
        image = self._decoded.copy()
        image.thumbnail((max_px, max_px))
        return np.asarray(image)

    @property
    def image(self) -> Image.Image:
        """The decoded picture; threads that ask at once wait for the one that decodes it."""
        with self._decoding:
            if self._decoded is None:
                self._decoded = self._stored.load()
            return self._decoded

    def _read_level(
        self, x: int, y: int, width: float, height: float, reduction: float
    ) -> tuple[Image.Image, float]:
        columns, rows = math.ceil(width), math.ceil(height)
        box = (x, y, x + columns, y + rows)
        if self.contains(x, y, columns, rows):
            return self.image.crop(box), 1.0
        inside = (
            max(x, 0),
            max(y, 0),
            min(box[2], self.size_px[0]),
            min(box[3], self.size_px[1]),
        )
        region = Image.new("RGB", (columns, rows), WHITE)
        if inside[0] < inside[2] and inside[1] < inside[3]:
            region.paste(self.image.crop(inside), (inside[0] - x, inside[1] - y))
        return region, 1.0


def open_slide(path: str | os.PathLike) -> Slide:
    """Open a slide; use it in a ``with`` block.

    Raises:
        UserError: the file is missing, damaged, no image, a plain image of more than
            ``images.LARGEST_PLAIN_IMAGE_PX`` pixels, or no one picture of tissue (see
            ``sections.images``). A JPEG or PNG cut short is found when it is first read.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"The slide {path} does not exist; check the image column of the sheet.")
    import openslide

    if h5py.is_hdf5(path):
        from reg2st.sections.stored_patches import StoredPatches

        return StoredPatches(path)
    vendor = openslide.OpenSlide.detect_format(path)
    if vendor == PLAIN_TIFF and not _is_pyramid(path):
        return Picture(path)
    return Picture(path) if vendor is None else Pyramid(path)


def _is_pyramid(path: Path) -> bool:
    """Whether OpenSlide reads the largest page of a tiled TIFF of no vendor, in 8 bits."""
    import openslide

    page = tiff_slide(path)
    if page is None:
        return True
    if page.bits != 8:
        return False
    try:
        with openslide.OpenSlide(path) as slide:
            largest = slide.dimensions == page.size_px
    except openslide.OpenSlideUnsupportedFormatError:
        return False
    except openslide.OpenSlideError as error:
        return "Unsupported" not in str(error)
    if largest:
        page.refuse_turned(path)
    return largest


def _resampled(image: Image.Image, width: float, height: float, output_px: int) -> Image.Image:
    """The part of an image from its top left corner, as a square of ``output_px``."""
    if image.size == (output_px, output_px):
        return image
    return image.resize((output_px, output_px), Image.Resampling.BICUBIC, box=(0, 0, width, height))


def decoded_mb(path: str | os.PathLike) -> float:
    """Memory that the pixels of an image take while it is read; 0 for one that cannot be read.

    Raises:
        OSError: the file does not exist.
    """
    os.stat(path)
    try:
        with open_slide(path) as slide:
            return BYTES_A_DECODED_PX * slide.most_px / 1e6
    except UserError:
        return 0.0  # the job itself says what is wrong


def _um_per_px(properties: "openslide._PropertyMap") -> float | None:
    try:
        um_per_px = (
            float(properties["openslide.mpp-x"]) + float(properties["openslide.mpp-y"])
        ) / 2
    except (KeyError, ValueError):
        return None
    smallest, largest = PLAUSIBLE_UM_PER_PX
    if properties["openslide.vendor"] != PLAIN_TIFF:
        largest = math.inf
    return um_per_px if smallest <= um_per_px <= largest and math.isfinite(um_per_px) else None
