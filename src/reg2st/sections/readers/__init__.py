"""Every platform by name, and its reader: one file each, from a lab's files to a raw section.

A new platform is one file and one line here.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.sections.raw_section import RawSection
from reg2st.sections.section_row import SectionRow

READERS = {
    "st": "reg2st.sections.readers.st",
    "visium": "reg2st.sections.readers.visium",
    "visium_hd": "reg2st.sections.readers.visium_hd",
    "h5ad": "reg2st.sections.readers.h5ad",
    "hest": "reg2st.sections.readers.hest",
    "hest_bench": "reg2st.sections.readers.hest_bench",
    "spatialdata": "reg2st.sections.readers.spatialdata",
}


class Reader(Protocol):
    """What a platform's module defines.

    Attributes:
        COLUMNS: columns of the sample sheet that this platform takes, beyond those of all.
    """

    COLUMNS: tuple[str, ...]

    def required(self, row: SectionRow) -> tuple[str, ...]:
        """Columns of the sample sheet that a row must fill in."""

    def files(self, row: SectionRow, root: Path) -> dict[str, Path]:
        """The files that ``read`` needs, by name; ``image`` among them.

        Looks into the section's folder if the platform has one.

        Raises:
            UserError: the folder lacks a file, or holds two that could be meant.
        """

    def read(self, files: Mapping[str, Path], row: SectionRow) -> RawSection:
        """Read these files.

        Raises:
            UserError: a file is bad, or the files do not belong together.
        """


def reader(platform: str) -> Reader:
    """The reader of a platform.

    Raises:
        UserError: no platform has that name.
    """
    if platform not in READERS:
        raise UserError(f"There is no platform '{platform}'{closest(platform, READERS)}.")
    return cast("Reader", import_module(READERS[platform]))
