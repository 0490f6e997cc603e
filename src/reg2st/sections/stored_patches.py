"""Patches that somebody cut from a slide that is not there, in HEST-1k's layout, as a slide.

Each patch is one field of view of one spot. Such a field is returned as it is stored, pixel by
pixel. Anything else of the slide is known only roughly, for pictures to look at.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reg2st.base.errors import UserError
from reg2st.sections.geometry import neighbour_distance
from reg2st.sections.images import WHITE
from reg2st.sections.slides import Slide

ROUNDING_PX = 2
"""Pixels of the slide by which the corner of a field may differ from that of its patch."""

THUMBNAIL_PATCH_PX = 32
"""Side of a patch in pictures of the whole slide."""


@dataclass(frozen=True)
class PatchIndex:
    """What a file of n patches says beside their pixels.

    Attributes:
        corners: top left corner (x, y) of each patch, px of the slide, int64 ``[n, 2]``.
        barcodes: of the spots, str ``[n]``.
        patch_px: side of a stored patch.
    """

    corners: NDArray[np.int64]
    barcodes: NDArray[np.str_]
    patch_px: int


def read_index(path: Path) -> PatchIndex:
    """The corners and barcodes of a file of patches: datasets img, coords and barcode(s).

    Raises:
        UserError: the file is damaged or holds no such patches.
    """
    try:
        with h5py.File(path) as file:
            names = file["barcodes" if "barcodes" in file else "barcode"].asstr()[()]
            side = file["img"].shape[1]
            return PatchIndex(
                corners=file["coords"][()].reshape(-1, 2).astype(np.int64),
                barcodes=np.asarray(names, dtype=str).reshape(-1),
                patch_px=side,
            )
    except (OSError, KeyError, TypeError, IndexError) as error:
        raise UserError(
            f"{path} is damaged or no file of patches (img, coords, barcode); fetch it again."
        ) from error


class StoredPatches(Slide):
    """A slide of which only the patches around its spots are known."""

    def __init__(self, path: Path) -> None:
        from scipy.spatial import KDTree

        self.path = path
        index = read_index(path)
        self._patch_px = index.patch_px
        self._corners = index.corners
        self._nearest = KDTree(index.corners)
        # How much of the slide a patch shows is not said: roughly the distance of two spots.
        far = neighbour_distance(index.corners) if len(index.corners) > 1 else 0
        self._pitch_px = far or float(index.patch_px)
        self._file = h5py.File(path)
        self.size_px = tuple((index.corners.max(axis=0) + int(2 * self._pitch_px)).tolist())

    def close(self) -> None:
        self._file.close()

    @property
    def most_px(self) -> int:
        return self._patch_px**2

    def read_squares(
        self, corners: NDArray[np.int64], side_px: float, output_px: int
    ) -> NDArray[np.uint8]:
        """As for every slide, of fields that are stored patches.

        Raises:
            UserError: a field is none of them.
        """
        distance, patches = self._nearest.query(corners, p=np.inf)
        if (distance > ROUNDING_PX).any():
            raise UserError(
                f"{self.path} holds one patch a spot, and another field was asked for; choose a "
                "view of the pixel size of the patches (HEST-Bench: `um_per_px: 0.5`)."
            )
        return np.stack([np.asarray(self._patch(patch, output_px)) for patch in patches])

    def thumbnail(self, max_px: int) -> NDArray[np.uint8]:
        width, height = self.size_px
        scale = min(max_px / max(width, height), THUMBNAIL_PATCH_PX / self._pitch_px)
        return np.asarray(self.picture(0, 0, width, height, scale))

    def _read_level(
        self, x: int, y: int, width: float, height: float, reduction: float
    ) -> tuple[Image.Image, float]:
        return self.picture(x, y, width, height, 1 / reduction), reduction

    def picture(self, x: float, y: float, width: float, height: float, scale: float) -> Image.Image:
        """A region of the slide, white between the patches; ``scale`` is its px per slide px."""
        size = np.maximum(np.ceil(np.array([width, height]) * scale), 1).astype(int)
        picture = Image.new("RGB", tuple(size.tolist()), WHITE)
        side = max(round(self._pitch_px * scale), 1)
        places = np.rint((self._corners - (x, y)) * scale).astype(int)
        for patch in np.flatnonzero(((places > -side) & (places < size)).all(axis=1)):
            picture.paste(self._patch(patch, side), tuple(places[patch].tolist()))
        return picture

    def _patch(self, patch: int, side: int) -> Image.Image:
        image = Image.fromarray(self._file["img"][patch])
        return image if image.size == (side, side) else image.resize((side, side))
