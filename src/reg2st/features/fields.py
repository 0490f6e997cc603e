"""Fields of view: the square of the slide around each spot, read when it is asked for.

A field is always returned as 224 x 224 pixels; its view says how much of the slide it shows.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import overload

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from reg2st.base.errors import UserError
from reg2st.features.tiles import on_slide, tile_offsets
from reg2st.sections.section_file import load_section_arrays
from reg2st.sections.slides import Slide, open_slide

PATCH_PX = 224


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


class Fields(Sequence[np.ndarray]):
    """Fields of view around a section's spots, m of them, on an open slide.

    ``fields[i]`` is one field, uint8 ``[224, 224, 3]`` (rows, columns, RGB), white where it
    leaves the slide; ``fields[i:j]`` are several, ``[j - i, 224, 224, 3]``.

    Attributes:
        section: the section's name.
        barcodes: str ``[n]``, of its spots.
        coords: int64 ``[m, 2]``, top left corner (x, y) of each field at level 0.
        padded: bool ``[m]``, whether the field extends beyond the slide.
        field_px: side of the field at level 0.
        um_per_px: micrometres a pixel of what is returned, None where unknown.
    """

    def __init__(
        self,
        slide: Slide,
        section: str,
        barcodes: np.ndarray,
        coords: np.ndarray,
        field_px: float,
        slide_um_per_px: float | None,
    ) -> None:
        self._slide = slide
        self._slide_um_per_px = slide_um_per_px
        self.section = section
        self.barcodes = barcodes
        self.coords = coords
        self.field_px = field_px
        self.um_per_px = None if slide_um_per_px is None else slide_um_per_px * field_px / PATCH_PX
        self.padded = ~on_slide(coords, field_px, slide.size_px)

    def tiles(self, side: int, share: float) -> "Fields":
        """The tiles of a grid around each spot, spot by spot: see ``tile_offsets``."""
        offsets, tile_px = tile_offsets(self.field_px, side, share)
        corners = (self.coords[:, None] + offsets).reshape(-1, 2)
        about = self._slide, self.section, self.barcodes
        return Fields(*about, corners, tile_px, self._slide_um_per_px)

    def __len__(self) -> int:
        return len(self.coords)

    @overload
    def __getitem__(self, spots: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, spots: slice) -> np.ndarray: ...

    def __getitem__(self, spots: int | slice) -> np.ndarray:
        if isinstance(spots, slice):
            return self._slide.read_squares(self.coords[spots], self.field_px, PATCH_PX)
        x, y = self.coords[spots].tolist()
        return self._slide.read(x, y, self.field_px, self.field_px, output_px=PATCH_PX)


@contextmanager
def open_fields(
    slide_path: str | os.PathLike, section_path: str | os.PathLike, view: View
) -> Iterator[Fields]:
    """The field of view of each spot of a section, in the order of the spots.

    The slide is open within the ``with`` block.

    Raises:
        UserError: the section or the slide is bad, or the view needs an unknown pixel size.
    """
    section = load_section_arrays(section_path)
    with open_fields_at(
        slide_path, section.name, section.barcodes, section.pixel_xy, view, section.um_per_px
    ) as fields:
        yield fields


@contextmanager
def open_fields_at(
    slide_path: str | os.PathLike,
    name: str,
    barcodes: np.ndarray,
    centres: np.ndarray,
    view: View,
    slide_um_per_px: float | None,
) -> Iterator[Fields]:
    """The fields of view around n places of a slide, which is open within the ``with`` block.

    Args:
        name: of the section or slide, for messages.
        barcodes: str ``[n]``, names of the places.
        centres: float64 ``[n, 2]``, (x, y), px of level 0.
        slide_um_per_px: micrometres a pixel of level 0, None where unknown.

    Raises:
        UserError: the slide is bad, or the view needs an unknown pixel size.
    """
    field_px = view.field_of(slide_um_per_px)
    corners = np.rint(centres - field_px / 2).astype(np.int64)
    with open_slide(slide_path) as slide:
        yield Fields(slide, name, barcodes, corners, field_px, slide_um_per_px)
