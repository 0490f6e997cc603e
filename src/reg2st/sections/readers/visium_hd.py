"""10x Visium HD: square bins of one size from the outs folder of Space Ranger, and an image."""

import re
from collections.abc import Mapping
from pathlib import Path

from reg2st.base.errors import UserError
from reg2st.sections import spaceranger
from reg2st.sections.geometry import square_bins
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow

COLUMNS = ("folder", "image", "picture", "bin_um")


def required(row: SectionRow) -> tuple[str, ...]:
    """Columns of the sample sheet that a row must fill in."""
    return (*spaceranger.required(row), "bin_um")


def files(row: SectionRow, root: Path) -> dict[str, Path]:
    """The files that ``read`` needs, by name.

    Raises:
        UserError: the folder lacks one, or has no bins of the size asked for.
    """
    binned = spaceranger.outs_folder(row, root) / "binned_outputs"
    square = binned / f"square_{row.bin_um:03d}um"
    if not square.is_dir():
        names = (re.fullmatch(r"square_(\d+)um", each.name) for each in binned.glob("square_*um"))
        sizes = sorted(int(name[1]) for name in names if name)
        there = f"it has {', '.join(map(str, sizes))}" if sizes else "it has none of any size"
        raise UserError(f"{binned} has no bins of {row.bin_um} µm ({there}); correct `bin_um`.")
    return spaceranger.folder_files(square, row, root)


def read(files: Mapping[str, Path], row: SectionRow) -> RawSection:
    """The bins in tissue, in the order of the matrix.

    Raises:
        UserError: a file is bad, or the files do not belong together.
    """
    return spaceranger.read_folder(files, row, square_bins(float(row.bin_um)))
