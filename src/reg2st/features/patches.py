"""Store a patch around each spot, for the networks that are trained on pixels."""

import logging
import os
from typing import NamedTuple

import h5py
import numpy as np

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.base.progress import Progress
from reg2st.features.fields import PATCH_PX, View, open_fields
from reg2st.features.stored_rows import StoredRows
from reg2st.sections.section_file import check_same_spots

log = logging.getLogger(__name__)

PATCHES_A_CHUNK = 64


class Patches(NamedTuple):
    """The patches of a section, n spots.

    Shapes:
        images: uint8 ``[n, 224, 224, 3]``, rows, columns, RGB; read when they are indexed.
        coords: int64 ``[n, 2]``, top left corner (x, y) of each field at level 0.
        barcodes: str ``[n]``.
        padded: bool ``[n]``, whether the field extends beyond the slide.
    """

    images: StoredRows
    coords: np.ndarray
    barcodes: np.ndarray
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

    Datasets: img, coords, barcode, padded (see `Patches`); attributes: field_px
    (side of the field at level 0), patch_px and, where known, um_per_px of the patch.

    Returns:
        Number of patches that extend beyond the slide and are padded white; also logged.

    Raises:
        UserError: the slide is bad, or the view needs an unknown pixel size.
    """
    with (
        open_fields(slide_path, section_path, view) as fields,
        written_whole(out) as temporary,
        h5py.File(temporary, "w") as file,
    ):
        n, padded = len(fields), int(fields.padded.sum())
        images = file.create_dataset("img", (n, PATCH_PX, PATCH_PX, 3), dtype=np.uint8)
        with Progress(f"patches of {fields.section}", n, unit=" patches") as bar:
            for start in range(0, n, PATCHES_A_CHUNK):
                chunk = slice(start, min(start + PATCHES_A_CHUNK, n))
                images[chunk] = fields[chunk]
                bar.update(chunk.stop - start)
        file["coords"] = fields.coords
        file["padded"] = fields.padded
        file.create_dataset("barcode", data=fields.barcodes.tolist(), dtype=h5py.string_dtype())
        file.attrs["field_px"] = fields.field_px
        file.attrs["patch_px"] = PATCH_PX
        if fields.um_per_px is not None:
            file.attrs["um_per_px"] = fields.um_per_px
    log.info(
        "%s: %d patches, fields of %.1f px, %d padded white",
        fields.section,
        n,
        fields.field_px,
        padded,
    )
    return padded


def read_patches(path: str | os.PathLike, spots: np.ndarray | None = None) -> Patches:
    """Read what is known of the patches of a section; their pixels wait in the file.

    Args:
        spots: barcodes that the patches must belong to, in this order.

    Raises:
        UserError: the file is bad, or belongs to other spots.
    """
    with _open_patches(path) as file:
        barcodes = _barcodes(file)
        check_same_spots(path, barcodes, spots)
        return Patches(
            images=StoredRows(path, "img"),
            coords=file["coords"][()],
            barcodes=barcodes,
            padded=file["padded"][()],
            field_px=float(file.attrs["field_px"]),
            um_per_px=file.attrs.get("um_per_px"),
        )


def _barcodes(file: h5py.File) -> np.ndarray:
    return file["barcode"].asstr()[()].astype(str)


def _open_patches(path: str | os.PathLike) -> h5py.File:
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
