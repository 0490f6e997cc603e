"""The pathologist's labels of a section's spots, kept beside the section: they train nothing."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.sections.readers.st import read_labels
from reg2st.sections.section_file import SectionArrays, load_section_arrays

log = logging.getLogger(__name__)

LEAST_MATCH = 0.5
"""Share of the labels that must belong to spots of the section."""

USUAL_MATCH = 0.9
"""Share of the labels below which a file is doubtful. Some spots are left out of every section."""


def match_labels(section: str | Path, labels: str | Path, out: str | Path) -> None:
    """Write the label of each spot of a section as TSV: barcode, label (empty for none).

    Labels are matched by array position, or by barcode if the file has that column. Spots without
    a label and labels without a spot are counted in the log: the array holds positions that the
    section leaves out.

    Raises:
        UserError: a file is bad, or most labels belong to no spot of the section.
    """
    arrays = load_section_arrays(section)
    by_spot = read_labels(labels)
    spots = _names_of_spots(arrays, by_spot, labels)
    matched = by_spot.index.isin(spots)
    if matched.mean() < LEAST_MATCH:
        raise UserError(
            f"{labels}: only {matched.sum()} of {len(by_spot)} labels belong to a spot of section "
            f"{arrays.name}; check that the file is of this section."
        )
    if matched.mean() < USUAL_MATCH:
        log.warning(
            "%s: only %d of %d labels belong to a spot of section %s; check that the file is of "
            "this section.",
            labels,
            matched.sum(),
            len(by_spot),
            arrays.name,
        )
    table = pd.DataFrame({"barcode": arrays.barcodes, "label": by_spot.reindex(spots).to_numpy()})
    log.info(
        "%s: %d spots labelled, %d without a label, %d labels without a spot.",
        arrays.name,
        table["label"].notna().sum(),
        table["label"].isna().sum(),
        (~matched).sum(),
    )
    with written_whole(out) as temporary:
        table.to_csv(temporary, sep="\t", index=False)


def _names_of_spots(
    arrays: SectionArrays, by_spot: pd.Series, labels: str | Path
) -> list[str] | np.ndarray:
    """The spots of a section by what a label file calls them."""
    if by_spot.index.name == "barcode":
        return arrays.barcodes
    if arrays.array_xy is None:
        raise UserError(
            f"{labels} labels array positions, but section {arrays.name} has none; give the file "
            "a column barcode instead of x and y."
        )
    return [f"{x}x{y}" for x, y in arrays.array_xy]


def load_labels(path: str | Path, spots: np.ndarray) -> np.ndarray:
    """The label of each spot, str ``[n]``, empty where it has none.

    Args:
        path: what :func:`match_labels` wrote.
        spots: barcodes of the section, str ``[n]``.

    Raises:
        UserError: the file belongs to other spots.
    """
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if not np.array_equal(table["barcode"], spots):
        raise UserError(
            f"{path} belongs to other spots than its section has; delete it, and the next run "
            "makes it again."
        )
    return table["label"].to_numpy(dtype=str)
