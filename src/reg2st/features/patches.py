"""Cut a patch around each spot.

A patch is always 224 x 224 pixels; its view says how much of the slide it shows.
"""

import logging
import os
from typing import NamedTuple

import h5py
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.base.progress import Progress
from reg2st.sections.section_file import check_same_spots, load_section_arrays
from reg2st.sections.slides import Slide, open_slide

log = logging.getLogger(__name__)

PATCH_PX = 224

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""

PATCHES_A_CHUNK = 64


class View(BaseModel):
    """What a patch shows: a field of ``field_px`` slide pixels, or pixels of ``um_per_px``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field_px: int | None = Field(
        None, ge=16, description="Width of the field, px of the slide at its own resolution."
    )
    um_per_px: PositiveFloat | None = Field(
        None, description="Pixel size that patches are resampled to, µm."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "View":
        if (self.field_px is None) == (self.um_per_px is None):
            raise ValueError("a view has either field_px or um_per_px")
        return self

    def field_of(self, slide_um_per_px: float | None) -> float:
        """Side of the field in pixels of the slide's level 0.

        Raises:
            UserError: the view is given by pixel size, and that of the slide is unknown.
        """
        if self.field_px is not None:
            return float(self.field_px)
        if slide_um_per_px is None:
            raise UserError(
                f"A view of {self.um_per_px} µm per px needs the slide's own pixel size; "
                "give um_per_px in the sample sheet, or choose a view by field_px."
            )
        return PATCH_PX * self.um_per_px / slide_um_per_px


class Patches(NamedTuple):
    """The patches of a section, n spots.

    Shapes:
        images: uint8 ``[n, 224, 224, 3]``, rows, columns, RGB.
        coords: int64 ``[n, 2]``, top left corner (x, y) of each field at level 0.
        barcodes: str ``[n]``.
        mean_grey: float32 ``[n]``, 0 to 255.
        padded: bool ``[n]``, whether the field extends beyond the slide.
    """

    images: np.ndarray
    coords: np.ndarray
    barcodes: np.ndarray
    mean_grey: np.ndarray
    padded: np.ndarray
    field_px: float
    um_per_px: float | None


def cut_patches(
    slide_path: str | os.PathLike,
    section_path: str | os.PathLike,
    view: View,
    out: str | os.PathLike,
) -> int:
    """Write the patches of a section's spots, in their order, as HDF5 in HEST-1k's layout.

    Datasets: img, coords, barcode, mean_grey, padded (see `Patches`); attributes: field_px
    (side of the field at level 0), patch_px and, where known, um_per_px of the patch.

    Returns:
        Number of patches that extend beyond the slide and are padded white; also logged.

    Raises:
        UserError: the slide is bad, or the view needs an unknown pixel size.
    """
    section = load_section_arrays(section_path)
    field_px = view.field_of(section.um_per_px)
    corners = np.rint(section.pixel_xy - field_px / 2).astype(np.int64)
    n = len(corners)
    padded = np.zeros(n, dtype=bool)
    mean_grey = np.zeros(n, dtype=np.float32)
    with (
        open_slide(slide_path) as slide,
        written_whole(out) as temporary,
        h5py.File(temporary, "w") as file,
    ):
        images = file.create_dataset("img", (n, PATCH_PX, PATCH_PX, 3), dtype=np.uint8)
        with Progress(f"patches of {section.name}", n, unit=" patches") as bar:
            for start in range(0, n, PATCHES_A_CHUNK):
                chunk = slice(start, start + PATCHES_A_CHUNK)
                cut = np.stack([_patch(slide, corner, field_px) for corner in corners[chunk]])
                images[chunk] = cut
                mean_grey[chunk] = cut.mean(axis=(1, 2), dtype=np.float64) @ LUMA
                padded[chunk] = [
                    not slide.contains(x, y, field_px, field_px) for x, y in corners[chunk]
                ]
                bar.update(len(cut))
        file["coords"] = corners
        file["mean_grey"] = mean_grey
        file["padded"] = padded
        file.create_dataset("barcode", data=section.barcodes.tolist(), dtype=h5py.string_dtype())
        file.attrs["field_px"] = field_px
        file.attrs["patch_px"] = PATCH_PX
        if section.um_per_px is not None:
            file.attrs["um_per_px"] = section.um_per_px * field_px / PATCH_PX
    log.info(
        "%s: %d patches, fields of %.1f px, %d padded white",
        section.name,
        n,
        field_px,
        padded.sum(),
    )
    return int(padded.sum())


def read_patches(path: str | os.PathLike, spots: np.ndarray | None = None) -> Patches:
    """Read all patches of a section.

    Args:
        spots: barcodes that the patches must belong to, in this order.

    Raises:
        UserError: the file is bad, or belongs to other spots.
    """
    with open_patches(path) as file:
        barcodes = _barcodes(file)
        check_same_spots(path, barcodes, spots)
        return Patches(
            images=file["img"][()],
            coords=file["coords"][()],
            barcodes=barcodes,
            mean_grey=file["mean_grey"][()],
            padded=file["padded"][()],
            field_px=float(file.attrs["field_px"]),
            um_per_px=file.attrs.get("um_per_px"),
        )


def read_mean_grey(path: str | os.PathLike, spots: np.ndarray | None = None) -> np.ndarray:
    """Mean grey values of the patches, float32 ``[n]``; arguments as in :func:`read_patches`."""
    with open_patches(path) as file:
        check_same_spots(path, _barcodes(file), spots)
        return file["mean_grey"][()]


def _barcodes(file: h5py.File) -> np.ndarray:
    return file["barcode"].asstr()[()].astype(str)


def open_patches(path: str | os.PathLike) -> h5py.File:
    """Open a patch file for reading.

    Raises:
        UserError: it is missing, damaged or not a patch file.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise UserError(f"The patch file {path} does not exist.") from error
    except OSError as error:
        raise UserError(
            f"{path} is damaged or not a patch file; delete it and run again."
        ) from error
    if "img" not in file:
        file.close()
        raise UserError(f"{path} is not a patch file: it lacks img.")
    return file


def _patch(slide: Slide, corner: np.ndarray, field_px: float) -> np.ndarray:
    x, y = (int(value) for value in corner)
    if field_px == PATCH_PX:
        return slide.read(x, y, PATCH_PX, PATCH_PX)
    return slide.read(x, y, field_px, field_px, output_px=PATCH_PX)
