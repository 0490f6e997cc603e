"""One row of a sample sheet: which files a section has, and what the sheet says of its geometry."""

from dataclasses import dataclass
from typing import Literal

Picture = Literal["full", "hires", "lowres"]


@dataclass(frozen=True)
class SectionRow:
    """What a sample sheet says of a section; text is empty and a number None where it says nothing.

    Attributes:
        platform: name of the reader.
        image, counts, spots, folder: files and a folder, relative to the dataset's root.
        hest_id: id of the section in a HEST-1k folder.
        layer: layer of an h5ad file that holds the raw counts.
        picture: the full-resolution image, or the smaller picture of Space Ranger to use instead.
        bin_um: side of a Visium HD bin, µm.
        um_per_px: micrometres a pixel of the image.
        spot_pitch_um, spot_diameter_um: of the array.
    """

    section: str
    patient: str
    platform: str = "st"
    image: str = ""
    counts: str = ""
    spots: str = ""
    folder: str = ""
    hest_id: str = ""
    layer: str = ""
    picture: Picture = "full"
    bin_um: int | None = None
    um_per_px: float | None = None
    spot_pitch_um: float | None = None
    spot_diameter_um: float | None = None
