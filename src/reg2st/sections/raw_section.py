"""A section as a platform's reader hands it over, before it is joined with its slide."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from reg2st.sections.geometry import SpotArray


class Stated(NamedTuple):
    """A number, and the file or the quantity that says it."""

    value: float
    source: str


@dataclass(frozen=True)
class RawSection:
    """A section of any platform, n spots and G genes.

    Attributes:
        counts: raw counts, float32 CSR ``[n, G]``.
        genes: G names, each once.
        gene_ids: their identifiers, such as Ensembl's, empty where unknown; None without any.
        barcodes: n names, each once, as the platform writes them.
        pixel_xy: float64 ``[n, 2]``, spot centres in pixels of level 0 of the image, x and y.
        array_xy: int64 ``[n, 2]``, column and row on the array; None where there is no array.
        array: pitch, diameter and lattice of the spots, as far as the platform fixes them.
        um_per_px: what the platform's own files say, for the image that is used.
        image_width_px: width that the platform's own files ask of the image.
        slide_before_pitch: whether the slide's own pixel size wins over the spot pitch.
        dropped: number of spots, rows or genes left out, by reason.
        notes: sentences for the log.
        warnings: sentences that a reader of the results must see.
    """

    name: str
    platform: str
    counts: "csr_matrix"
    genes: list[str]
    barcodes: list[str]
    pixel_xy: np.ndarray
    gene_ids: list[str] | None = None
    array_xy: np.ndarray | None = None
    array: "SpotArray | None" = None
    um_per_px: Stated | None = None
    image_width_px: Stated | None = None
    slide_before_pitch: bool = False
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
