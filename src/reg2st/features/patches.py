"""Cut a patch around each spot, and draw the slide with its spots.

A patch is always 224 x 224 pixels; how much of the slide it shows is its view.
"""

import logging
import os
import sys
from typing import NamedTuple

import h5py
import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, model_validator
from tqdm import tqdm

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.sections.section_file import load_section_arrays, load_thumbnail
from reg2st.sections.slides import Slide, open_slide

log = logging.getLogger(__name__)

PATCH_PX = 224

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""

PATCHES_A_CHUNK = 64


class View(BaseModel):
    """What a patch shows: a field of so many pixels of the slide, or a wanted pixel size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field_px: PositiveInt | None = None
    um_per_px: PositiveFloat | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "View":
        if (self.field_px is None) == (self.um_per_px is None):
            raise ValueError("a view has either field_px or um_per_px")
        return self

    def field_of(self, slide_um_per_px: float | None) -> float:
        """Side of the field in pixels of the slide's level 0.

        Raises:
            UserError: the view asks for a pixel size and the slide's is unknown.
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
        padded: bool ``[n]``, whether the field leaves the slide.
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
        How many patches leave the slide and are padded white; they are also logged.

    Raises:
        UserError: the slide is bad, or the view needs a pixel size that is unknown.
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
        with progress(f"patches of {section.name}", n) as bar:
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


def read_patches(path: str | os.PathLike) -> Patches:
    """Read all patches of a section."""
    with open_patches(path) as file:
        return Patches(
            images=file["img"][()],
            coords=file["coords"][()],
            barcodes=file["barcode"].asstr()[()].astype(str),
            mean_grey=file["mean_grey"][()],
            padded=file["padded"][()],
            field_px=float(file.attrs["field_px"]),
            um_per_px=file.attrs.get("um_per_px"),
        )


def read_mean_grey(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Barcodes str ``[n]`` and mean grey values float32 ``[n]``, without the images."""
    with open_patches(path) as file:
        return file["barcode"].asstr()[()].astype(str), file["mean_grey"][()]


def open_patches(path: str | os.PathLike) -> h5py.File:
    """Open a patch file for reading.

    Raises:
        UserError: it is missing, damaged or no patch file.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise UserError(f"The patch file {path} does not exist.") from error
    except OSError as error:
        raise UserError(f"{path} is damaged or no patch file; make it again.") from error
    if "img" not in file:
        file.close()
        raise UserError(f"{path} is no patch file: it lacks img.")
    return file


def progress(what: str, total: int) -> tqdm:
    """A progress bar of patches on a terminal; in a log file, a line now and then."""
    on_terminal = sys.stderr.isatty()
    return tqdm(
        desc=what,
        total=total,
        unit=" patches",
        mininterval=0.1 if on_terminal else 10,
        ascii=not on_terminal,
    )


def qc_picture(
    section_path: str | os.PathLike, patches_path: str | os.PathLike, out: str | os.PathLike
) -> None:
    """Draw the slide with its spots to scale, and say what was used, dropped and padded."""
    from matplotlib.collections import EllipseCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    section = load_section_arrays(section_path)
    thumbnail, scale = load_thumbnail(section_path)
    with open_patches(patches_path) as file:
        padded = file["padded"][()]
        field_px = file.attrs["field_px"]
    height, width = thumbnail.shape[:2]

    figure = Figure(figsize=(8, 8 * height / width + 0.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(thumbnail)
    diameter_px = section.spot_diameter_px
    diameter = (diameter_px if np.isfinite(diameter_px) else field_px) * scale
    for chosen, colour, label in (
        (~padded, "#0072B2", "inside"),
        (padded, "#D55E00", "patch leaves the slide"),
    ):
        centres = section.pixel_xy[chosen] * scale
        axes.add_collection(
            EllipseCollection(
                np.full(len(centres), diameter),
                np.full(len(centres), diameter),
                np.zeros(len(centres)),
                units="xy",
                offsets=centres,
                offset_transform=axes.transData,
                facecolors="none",
                edgecolors=colour,
                linewidths=1.2,
                label=label,
            )
        )
    first = (section.pixel_xy[0] - field_px / 2) * scale
    axes.add_patch(
        Rectangle(
            first, field_px * scale, field_px * scale, fill=False, edgecolor="black", linewidth=1
        )
    )
    if section.um_per_px is not None:
        _draw_scale_bar(axes, width, height, section.um_per_px / scale)
    dropped = ", ".join(
        f"{number} {reason}" for reason, number in section.dropped.items() if number
    )
    axes.set_title(
        f"{section.dataset} {section.name}: {len(padded)} spots used, {padded.sum()} padded\n"
        f"left out: {dropped or 'nothing'}",
        fontsize=10,
        loc="left",
    )
    axes.set_axis_off()
    with written_whole(out) as temporary:
        figure.savefig(temporary, dpi=120)


def _patch(slide: Slide, corner: np.ndarray, field_px: float) -> np.ndarray:
    x, y = (int(value) for value in corner)
    if field_px == PATCH_PX:
        return slide.read(x, y, PATCH_PX, PATCH_PX)
    return slide.read(x, y, field_px, field_px, output_px=PATCH_PX)


def _draw_scale_bar(axes: object, width: int, height: int, um_per_px: float) -> None:
    """A bar of a round length, about a fifth of the picture, in its lower left corner."""
    longest_um = width * um_per_px / 5
    power = 10 ** np.floor(np.log10(longest_um))
    length_um = power * max(step for step in (1, 2, 5) if step * power <= longest_um)
    length = length_um / um_per_px
    x, y = 0.03 * width, 0.97 * height
    axes.plot([x, x + length], [y, y], color="black", linewidth=3, solid_capstyle="butt")
    shown = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    axes.text(x + length / 2, y - 0.01 * height, shown, ha="center", va="bottom", fontsize=9)
