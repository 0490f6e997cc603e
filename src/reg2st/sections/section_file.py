"""Section files: AnnData files that keep a section's counts, spots and picture.

They are read here without anndata, which takes a second to import.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h5py
import numpy as np

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.sections.fitness import unfit
from reg2st.sections.geometry import Lattice

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

log = logging.getLogger(__name__)

FORMAT_VERSION = 3
"""Of the section file; raised whenever a reader of older files would go wrong."""


SPOTS_AT_A_TIME = 8192
VALUES_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class SectionArrays:
    """A section as plain arrays, n spots.

    Attributes:
        platform: name of the reader that made it.
        barcodes: str ``[n]``, as the platform writes them.
        array_xy: int64 ``[n, 2]``, column x and row y on the array; None without an array.
        lattice: size of an array position in pitches; None without an array, or where it has
            another shape than the known ones.
        pixel_xy: float64 ``[n, 2]``, spot centres at level 0 of the slide.
        counts: float32 ``[n, G]``, raw counts of the genes asked for; None when none were.
        totals: float64 ``[n]``, counts of all genes of each spot; None when counts is.
        absent_genes: those of the genes asked for that the section lacks, zero in counts.
        um_per_px: micrometres a pixel of level 0, None where unknown.
        spot_pitch_um, spot_pitch_px: from a spot to the nearest other one, None where unknown.
        spot_diameter_um: None where unknown.
        spot_diameter_px: pixels of level 0, NaN where unknown.
        dropped: what the join left out, by reason.
        warnings: sentences on what is doubtful about the section.
    """

    name: str
    dataset: str
    patient: str
    platform: str
    image: str
    barcodes: np.ndarray
    array_xy: np.ndarray | None
    lattice: Lattice | None
    pixel_xy: np.ndarray
    genes: list[str]
    counts: np.ndarray | None
    totals: np.ndarray | None
    absent_genes: list[str]
    um_per_px: float | None
    spot_pitch_um: float | None
    spot_pitch_px: float | None
    spot_diameter_um: float | None
    spot_diameter_px: float
    dropped: dict[str, int]
    warnings: list[str]


def write_section(section: "AnnData", path: str | os.PathLike) -> None:
    """Write a section whole, as h5ad."""
    with written_whole(path) as temporary:
        section.write_h5ad(temporary, compression="gzip", compression_opts=1)


@dataclass(frozen=True)
class SectionIndex:
    """What a section file says of its counts without their values, G genes.

    Attributes:
        genes: G names.
        gene_ids: G identifiers such as Ensembl's, empty where unknown; None where none is known.
        checksum: of the counts and the genes' names (:func:`counts_checksum`).
        unfit: why models are not trained on it (:func:`reg2st.sections.fitness.unfit`).
    """

    name: str
    patient: str
    genes: list[str]
    gene_ids: list[str] | None
    checksum: str
    unfit: str | None


def counts_checksum(counts: "csr_matrix", genes: Sequence[str]) -> str:
    """SHA-256 of a section's counts ``[n, G]`` and the names of its genes, in their orders."""
    counts = counts.sorted_indices()
    digest = hashlib.sha256("\n".join(genes).encode())
    for part, kind in ((counts.indptr, "<i8"), (counts.indices, "<i8"), (counts.data, "<f4")):
        digest.update(np.ascontiguousarray(part, dtype=kind))
    return digest.hexdigest()


def load_section_index(path: str | os.PathLike) -> SectionIndex:
    """Read what a section file says of its genes and spots, but no counts.

    Raises:
        UserError: the file is missing or no section file.
    """
    with _open_section(path) as file:
        about, var = file["uns/section"], file["var"]
        return SectionIndex(
            name=about["name"].asstr()[()],
            patient=about["patient"].asstr()[()],
            genes=_strings(var[var.attrs["_index"]]).tolist(),
            gene_ids=_column(var["gene_ids"]).tolist() if "gene_ids" in var else None,
            checksum=about["counts_sha256"].asstr()[()],
            unfit=unfit(len(file["obs"][file["obs"].attrs["_index"]]), _has_counts(file)),
        )


def load_counts(path: str | os.PathLike) -> tuple["csr_matrix", list[str]]:
    """All raw counts of a section, sparse ``[n, G]``, and the names of its G genes.

    Raises:
        UserError: the file is missing or no section file.
    """
    from scipy.sparse import csr_matrix

    with _open_section(path) as file:
        matrix, var = file["X"], file["var"]
        genes = _strings(var[var.attrs["_index"]]).tolist()
        parts = (matrix[name][()] for name in ("data", "indices", "indptr"))
        return csr_matrix(tuple(parts), shape=matrix.attrs["shape"]), genes


def load_thumbnail(path: str | os.PathLike) -> tuple[np.ndarray, float]:
    """The slide's picture in a section file, uint8 ``[h, w, 3]``, and its px per slide px."""
    with _open_section(path) as file:
        place = _only_group(file["uns/spatial"])
        scale = float(place["scalefactors/tissue_hires_scalef"][()])
        return place["images/hires"][()], scale


def load_section_arrays(path: str | os.PathLike, genes: list[str] | None = None) -> SectionArrays:
    """Read a section file into plain arrays, without importing anndata.

    Args:
        genes: whose counts to read, in this order; None reads no counts. Genes that the
            section lacks get zeros and are counted in the log.

    Raises:
        UserError: the file is missing or no section file, or has none of the genes.
    """
    with _open_section(path) as file:
        place = _only_group(file["uns/spatial"])
        about = file["uns/section"]
        counts, totals, absent = None, None, []
        if genes is not None:
            counts, totals, absent = _gene_counts(file, genes, path)
        return SectionArrays(
            name=about["name"].asstr()[()],
            dataset=about["dataset"].asstr()[()],
            patient=about["patient"].asstr()[()],
            platform=about["platform"].asstr()[()],
            image=place["metadata/source_image_path"].asstr()[()],
            barcodes=_strings(file["obs"][file["obs"].attrs["_index"]]),
            array_xy=_array_xy(file["obs"]),
            lattice=Lattice(*about["lattice"][()].tolist()) if "lattice" in about else None,
            pixel_xy=file["obsm/spatial"][()],
            genes=list(genes or []),
            counts=counts,
            totals=totals,
            absent_genes=absent,
            um_per_px=_number(about, "um_per_px"),
            spot_pitch_um=_number(about, "spot_pitch_um"),
            spot_pitch_px=_number(about, "spot_pitch_px"),
            spot_diameter_um=_number(about, "spot_diameter_um"),
            spot_diameter_px=float(place["scalefactors/spot_diameter_fullres"][()]),
            dropped={reason: int(number[()]) for reason, number in about["dropped"].items()},
            warnings=_strings(about["warnings"]).tolist(),
        )


def check_same_spots(path: str | os.PathLike, found: np.ndarray, wanted: np.ndarray | None) -> None:
    """Refuse a file that was made of other spots than a section has.

    Args:
        path: the file.
        found: barcodes of its spots, str ``[n]``.
        wanted: those of the section; None asks for no check.

    Raises:
        UserError: they differ, or stand in another order.
    """
    if wanted is not None and not np.array_equal(found, wanted):
        raise UserError(
            f"{path} belongs to other spots than its section has; delete it, and the next run "
            "makes it again."
        )


def _gene_counts(
    file: h5py.File, genes: list[str], path: str | os.PathLike
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Dense float32 ``[n, G]`` of the chosen genes, counts of all genes ``[n]``, absent genes."""
    matrix = file["X"]
    names = _strings(file["var"][file["var"].attrs["_index"]])
    wanted = {gene: column for column, gene in enumerate(genes)}
    column_of = np.array([wanted.get(name, -1) for name in names], dtype=np.int64)
    present = set(names)
    absent = [gene for gene in genes if gene not in present]
    if genes and len(absent) == len(genes):
        raise UserError(f"{path} has none of the {len(genes)} genes of the panel.")
    if absent:
        log.info(
            "%s: %d of %d panel genes are absent and count as zero: %s",
            path,
            len(absent),
            len(genes),
            ", ".join(absent),
        )
    indptr = matrix["indptr"][()]
    n = len(indptr) - 1
    counts = np.zeros((n, len(genes)), dtype=np.float32)
    totals = np.zeros(n)
    for start in range(0, n, SPOTS_AT_A_TIME):
        ends = indptr[start : start + SPOTS_AT_A_TIME + 1]
        stored = slice(ends[0], ends[-1])
        columns = column_of[matrix["indices"][stored]]
        values = matrix["data"][stored]
        rows = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        totals[start : start + len(ends) - 1] = np.bincount(rows, values, len(ends) - 1)
        chosen = columns >= 0
        counts[start + rows[chosen], columns[chosen]] = values[chosen]
    return counts, totals, absent


def _has_counts(file: h5py.File) -> bool:
    stored = file["X/data"]
    starts = range(0, len(stored), VALUES_AT_A_TIME)
    return any(stored[start : start + VALUES_AT_A_TIME].any() for start in starts)


def _open_section(path: str | os.PathLike) -> h5py.File:
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise UserError(f"The section file {path} does not exist.") from error
    except OSError as error:
        raise UserError(f"{path} is damaged or no section file; make it again.") from error
    if "uns/section" not in file:
        file.close()
        raise UserError(f"{path} is no section file: it lacks uns/section.")
    version = _number(file["uns/section"], "format_version")
    if version != FORMAT_VERSION:
        file.close()
        found = "no format version" if version is None else f"format version {version:g}"
        raise UserError(
            f"{path} has {found}, and this workflow reads version {FORMAT_VERSION}; delete it, "
            "and the next run makes it again."
        )
    return file


def _number(group: h5py.Group, name: str) -> float | None:
    return float(group[name][()]) if name in group else None


def _array_xy(obs: h5py.Group) -> np.ndarray | None:
    if "array_col" not in obs:
        return None
    return np.column_stack([obs["array_col"][()], obs["array_row"][()]]).astype(np.int64)


def _only_group(group: h5py.Group) -> h5py.Group:
    (name,) = group
    return group[name]


def _column(element: h5py.Group | h5py.Dataset) -> np.ndarray:
    """A column of text; AnnData stores one with repeated values by category."""
    if isinstance(element, h5py.Group):
        return _strings(element["categories"])[element["codes"][()]]
    return _strings(element)


def _strings(dataset: h5py.Dataset) -> np.ndarray:
    return dataset.asstr()[()].astype(str)
