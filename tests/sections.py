"""Sections as tests make them."""

from pathlib import Path

import numpy as np
from anndata import AnnData

from reg2st.sections.assembly import read_section
from reg2st.sections.geometry import SQUARE
from reg2st.sections.section_file import FORMAT_VERSION
from reg2st.sections.section_row import SectionRow
from reg2st.sections.targets import TARGETS


def read_st(
    name: str, *, dataset: str, patient: str, image: Path, counts: Path, spots: Path, **said: float
) -> AnnData:
    """A section of the legacy platform, read from its three files; ``said`` is of the sheet."""
    files = {"image": image, "counts": counts, "spots": spots}
    return read_section(SectionRow(name, patient, **said), files, dataset)


def about(name: str, dataset: str, patient: str, **sizes: float) -> dict:
    """``uns["section"]`` of a section that a test makes by hand."""
    return {
        "format_version": FORMAT_VERSION,
        "dataset": dataset,
        "patient": patient,
        "name": name,
        "platform": "st",
        "lattice": np.array(SQUARE),
        "counts_sha256": f"of {name}",
        "dropped": {},
        "warnings": np.array([], dtype=object),
        **sizes,
    }


def log_expression(counts: np.ndarray) -> np.ndarray:
    """The target ``paper``, which needs no genes beside the panel's."""
    return TARGETS["paper"].expression(counts, np.zeros(len(counts)))
