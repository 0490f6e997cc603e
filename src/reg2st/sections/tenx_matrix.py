"""Count matrices of 10x Genomics: HDF5 of Cell Ranger 2 and 3, and the folder of three files."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import h5py
import numpy as np
import pandas as pd

from reg2st.base.errors import UserError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

GENE_EXPRESSION = "Gene Expression"
MTX_FILES = {
    "matrix": ("matrix.mtx.gz", "matrix.mtx"),
    "features": ("features.tsv.gz", "features.tsv", "genes.tsv.gz", "genes.tsv"),
    "barcodes": ("barcodes.tsv.gz", "barcodes.tsv"),
}
"""Names of the three files, those of newer versions first."""


class TenxMatrix(NamedTuple):
    """Raw counts, float32 CSR ``[n, G]``, of the features that are genes.

    Attributes:
        genes: G unique symbols; a repeated one is numbered as scanpy numbers it.
        gene_ids: their Ensembl identifiers.
        repeated: number of genes so numbered.
        other_features: number of features left out, since they are no genes.
    """

    counts: "csr_matrix"
    genes: list[str]
    gene_ids: list[str]
    barcodes: list[str]
    repeated: int
    other_features: int


def read_matrix(files: Mapping[str, Path]) -> TenxMatrix:
    """Read a matrix of 10x Genomics.

    Args:
        files: ``matrix``, an HDF5 file; or the three of ``MTX_FILES``.

    Raises:
        UserError: a file is damaged, is no such matrix, or holds other than counts; the files do
            not belong together; a barcode occurs twice.
    """
    path = files["matrix"]
    counts, barcodes, features = _read_h5(path) if path.suffix == ".h5" else _read_mtx(files)
    if counts.shape != (len(barcodes), len(features)):
        raise UserError(
            f"The matrix {path} holds {counts.shape[0]:,} spots x {counts.shape[1]:,} features, "
            f"but names {len(barcodes):,} and {len(features):,}; fetch it again."
        )
    check_counts(counts.data, path)
    if twice := pd.Index(barcodes)[pd.Index(barcodes).duplicated()].tolist():
        raise UserError(f"The matrix {path} names the barcode {twice[0]} twice.")
    is_gene = (features["type"] == GENE_EXPRESSION).to_numpy()
    if not is_gene.any():
        raise UserError(f"The matrix {path} has no feature of the type {GENE_EXPRESSION}.")
    genes, repeated = unique_genes(features["name"][is_gene])
    return TenxMatrix(
        counts=counts if is_gene.all() else counts[:, np.flatnonzero(is_gene)],
        genes=genes,
        gene_ids=features["id"][is_gene].tolist(),
        barcodes=barcodes,
        repeated=repeated,
        other_features=int((~is_gene).sum()),
    )


def unique_genes(names: pd.Series | pd.Index) -> tuple[list[str], int]:
    """Gene names, repeated ones numbered (GENE-1) as scanpy does, and how many those are."""
    from anndata.utils import make_index_unique

    index = pd.Index(names, dtype=object)
    return make_index_unique(index).tolist(), int(index.duplicated().sum())


def check_counts(values: np.ndarray, path: Path, remedy: str = "") -> None:
    """Refuse a matrix whose values are not counts.

    Args:
        remedy: how to find the counts, for the end of the sentence.

    Raises:
        UserError: a value is negative, fractional or no number.
    """
    with np.errstate(invalid="ignore"):
        good = (values >= 0) & (values == np.floor(values)) & np.isfinite(values)
    if not good.all():
        raise UserError(
            f"{path} holds {values[np.argmin(good)]:g}, which is no count: raw counts are needed, "
            f"whole numbers of 0 or more, not normalised ones{remedy}."
        )


def _read_h5(path: Path) -> tuple["csr_matrix", list[str], pd.DataFrame]:
    from scipy.sparse import csc_matrix

    try:
        with h5py.File(path, "r") as file:
            if "matrix" in file:
                group = file["matrix"]
                stored = {"id": "id", "name": "name", "type": "feature_type"}
                names = {key: group[f"features/{each}"] for key, each in stored.items()}
            else:  # Cell Ranger 2: one group a genome
                (group,) = (each for each in file.values() if "gene_names" in each)
                names = {"id": group["genes"], "name": group["gene_names"]}
            features = pd.DataFrame({key: each.asstr()[()] for key, each in names.items()})
            barcodes = group["barcodes"].asstr()[()].tolist()
            parts = (
                group["data"][()].astype(np.float32),
                group["indices"][()],
                group["indptr"][()],
            )
            # The file holds genes x spots by columns, which is spots x genes by rows.
            counts = csc_matrix(parts, shape=tuple(group["shape"][()])).T
    except (OSError, KeyError, ValueError, AttributeError, UnicodeDecodeError) as error:
        raise _no_matrix(path, error) from error
    return (
        counts,
        barcodes,
        features if "type" in features else features.assign(type=GENE_EXPRESSION),
    )


def _read_mtx(files: Mapping[str, Path]) -> tuple["csr_matrix", list[str], pd.DataFrame]:
    from scipy.io import mmread
    from scipy.sparse import csr_matrix

    path = files["matrix"]
    try:
        with _opened(path) as file:
            counts = csr_matrix(mmread(file).T, dtype=np.float32)
    except (OSError, EOFError, ValueError, OverflowError, TypeError) as error:
        raise _no_matrix(path, error) from error
    features = _read_names(files["features"])
    if features.shape[1] < 2:
        raise UserError(
            f"{files['features']} has one column; it must have an id and a name for each feature, "
            "separated by a tab."
        )
    kind = features.get(2, GENE_EXPRESSION)
    barcodes = _read_names(files["barcodes"])[0].tolist()
    return counts, barcodes, pd.DataFrame({"id": features[0], "name": features[1], "type": kind})


def _read_names(path: Path) -> pd.DataFrame:
    try:
        with _opened(path) as file:
            return pd.read_csv(
                file, sep="\t", header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
            )
    except (OSError, EOFError, ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} cannot be read as a table ({_reason(error)}).") from error


def _opened(path: Path):
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")


def _no_matrix(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} is damaged or no count matrix of 10x Genomics ({_reason(error)}); fetch it again."
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
