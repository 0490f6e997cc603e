"""10x Visium: the outs folder of any version of Space Ranger, CytAssist too, and an image."""

from collections.abc import Mapping
from pathlib import Path

from reg2st.sections.geometry import VISIUM
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow
from reg2st.sections.spaceranger import folder_files, outs_folder, read_folder, required

__all__ = ["COLUMNS", "files", "read", "required"]

COLUMNS = ("folder", "image", "picture")


def files(row: SectionRow, root: Path) -> dict[str, Path]:
    """The files that ``read`` needs, by name.

    Raises:
        UserError: the folder lacks one, or two could be meant.
    """
    return folder_files(outs_folder(row, root), row, root)


def read(files: Mapping[str, Path], row: SectionRow) -> RawSection:
    """The spots in tissue, in the order of the matrix.

    Raises:
        UserError: a file is bad, or the files do not belong together.
    """
    return read_folder(files, row, VISIUM)
