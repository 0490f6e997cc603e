"""Read cross-validated predictions: of a method in a split, or of one section of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reg2st.base.errors import UserError
from reg2st.sections.section_file import SPOTS_AT_A_TIME, check_same_spots
from reg2st.sections.targets import TARGETS, Target


@dataclass(frozen=True)
class SectionPredictions:
    """What a method predicts of a section, n spots, G genes of the panel of the section's fold.

    Attributes:
        fold: the fold that tested the section.
        barcodes: str ``[n]``.
        genes: those that the fold's model predicts; none where the method has no prediction.
        expression: float32 ``[n, G]``, in units of the target.
        spread: predictive standard deviation, float32 ``[n, G]``; None if the method gives none.
    """

    fold: str
    barcodes: NDArray[np.str_]
    genes: list[str]
    expression: NDArray[np.float32]
    spread: NDArray[np.float32] | None

    def of_spots(self, barcodes: NDArray[np.str_]) -> NDArray[np.float32]:
        """The expression of some spots, float32 ``[spots, G]``, in their order.

        Raises:
            UserError: a spot has no prediction.
        """
        places = pd.Index(self.barcodes).get_indexer(barcodes)
        if (places < 0).any():
            raise UserError(
                f"There is no prediction of spot {barcodes[places < 0][0]}; predict its section "
                "again."
            )
        return self.expression[places]


def section_predictions(path: str | os.PathLike, section: str) -> SectionPredictions:
    """Read the rows of one section from a file of predictions.

    Args:
        path: what :func:`reg2st.training.predict.predict_folds` wrote.
        section: its name.

    Raises:
        UserError: the file holds no prediction of the section.
    """
    with h5py.File(path) as file:
        spots = _element(file["obs"])
        rows = np.flatnonzero(spots["section"] == section)
        if not len(rows):
            raise UserError(f"{path} has no prediction of section {section}; predict it again.")
        expression = _rows(file["X"], rows)
        known = ~np.isnan(expression).all(axis=0)
        spread = file.get("layers/spread")
        return SectionPredictions(
            fold=str(spots["fold"].iloc[rows[0]]),
            barcodes=spots["barcode"].iloc[rows].to_numpy(dtype=str),
            genes=_genes(file)[known].tolist(),
            expression=expression[:, known],
            spread=None if spread is None else _rows(spread, rows)[:, known],
        )


@dataclass(frozen=True)
class StoredPredictions:
    """What a method predicts of a section, left in its file: it is read by genes.

    Attributes:
        path: the file.
        rows: those of the section, int ``[n]``.
        fold: the fold that tested the section.
        genes: those that the fold's model predicts; none where the method has no prediction.
        has_spread: whether there is a predictive standard deviation.
    """

    path: str
    rows: NDArray[np.int_]
    fold: str
    genes: list[str]
    has_spread: bool

    def read(self, genes: Sequence[str], part: str = "X") -> NDArray[np.float32]:
        """Values of some genes, float32 ``[n, genes]``; NaN for a gene that is not predicted.

        Args:
            genes: their names.
            part: ``X`` or ``layers/spread``.
        """
        values = np.full((len(self.rows), len(genes)), np.nan, dtype=np.float32)
        with h5py.File(self.path) as file:
            columns = pd.Index(_genes(file)).get_indexer(list(genes))
            known = columns >= 0
            if not known.any():
                return values
            first, last = columns[known].min(), columns[known].max()
            for start in range(0, len(self.rows), SPOTS_AT_A_TIME):
                rows = self.rows[start : start + SPOTS_AT_A_TIME]
                block = file[part][rows[0] : rows[-1] + 1, first : last + 1]
                found = block[rows - rows[0]][:, columns[known] - first]
                values[start : start + len(rows), known] = found
        return values


def stored_predictions(
    path: str | os.PathLike, section: str, barcodes: NDArray[np.str_]
) -> StoredPredictions:
    """The rows of one section in a file of predictions.

    Args:
        path: what :func:`reg2st.training.predict.predict_folds` wrote.
        section: its name.
        barcodes: of its spots, str ``[n]``, which fixes the order of the rows.

    Raises:
        UserError: the file holds no prediction of the section, or of other spots.
    """
    with h5py.File(path) as file:
        spots = _element(file["obs"])
        rows = np.flatnonzero(spots["section"] == section)
        if not len(rows):
            raise UserError(f"{path} has no prediction of section {section}; predict it again.")
        check_same_spots(path, spots["barcode"].iloc[rows].to_numpy(dtype=str), barcodes)
        known = ~np.isnan(file["X"][rows[0]])
        return StoredPredictions(
            path=os.fspath(path),
            rows=rows,
            fold=str(spots["fold"].iloc[rows[0]]),
            genes=_genes(file)[known].tolist(),
            has_spread="layers/spread" in file,
        )


def run_of(path: str | os.PathLike) -> dict[str, str | int]:
    """What the runs behind a file of predictions share: dataset, split, method, ..., seed."""
    with h5py.File(path) as file:
        run = {name: str(value) for name, value in _element(file["uns/run"]).items()}
    return {**run, "seed": int(run["seed"])}


def target_of(path: str | os.PathLike) -> Target:
    """What a file of predictions predicts.

    Raises:
        UserError: the file does not say it.
    """
    with h5py.File(path) as file:
        if "uns/target" not in file:
            raise UserError(f"{path} does not say what it predicts; delete it and predict again.")
        return TARGETS[str(_element(file["uns/target"]))]


def read_expected_pcc(path: str | os.PathLike) -> pd.DataFrame:
    """The PCC that models expect of each gene in the sections that they are tested on.

    Returns:
        One row a tested section and gene of its fold's panel: section, gene, expected.

    Raises:
        UserError: the file has no expected PCC.
    """
    with h5py.File(path) as file:
        if "varm/expected_pcc" not in file:
            raise UserError(f"{path} holds no expected PCC; delete it and predict again.")
        expected = _element(file["varm/expected_pcc"])
        tested = _element(file["obs"])[["section", "fold"]].drop_duplicates().astype(str)
    by_fold = (
        expected.rename_axis("gene")
        .reset_index()
        .melt(id_vars="gene", var_name="fold", value_name="expected")
    )
    rows = tested.merge(by_fold.dropna(subset=["expected"]), on="fold")
    return rows[["section", "gene", "expected"]]


def _genes(file: h5py.File) -> NDArray[np.str_]:
    return _element(file["var"]).index.to_numpy(dtype=str)


def _rows(values: h5py.Dataset, rows: NDArray[np.int_]) -> NDArray[np.float32]:
    """Some rows of a matrix; those of a section lie together."""
    first, last = rows[0], rows[-1]
    return values[first : last + 1][rows - first]


def _element(stored: h5py.Group | h5py.Dataset) -> Any:
    # It takes a second to import, and most figures read no predictions.
    from anndata.io import read_elem

    return read_elem(stored)
