"""Read a section's raw files (counts, spots, labels) and join them.

A spot is known everywhere by its array position, "XxY": column x, row y, whole numbers.
"""

import csv
import gzip
import itertools
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.slides import open_slide

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

log = logging.getLogger(__name__)

SPOT_PITCH_UM = 200.0
SPOT_DIAMETER_UM = 100.0
"""Spatial Transcriptomics arrays: 100 µm spots, 200 µm apart (Ståhl et al. 2016)."""

THUMBNAIL_PX = 1000

SPOT_COLUMNS = ("x", "y", "pixel_x", "pixel_y")
LABEL_COLUMNS = ("x", "y", "label")


class Counts(NamedTuple):
    """Raw counts of one section: float32 CSR ``[n spots, n genes]``."""

    matrix: "csr_matrix"
    genes: list[str]
    spots: list[str]


def read_counts(path: str | os.PathLike) -> Counts:
    """Read a count matrix: a TSV of "XxY" rows and gene columns, gzipped or not.

    The header may or may not name the column of spots.

    Raises:
        UserError: the file is missing, empty or damaged; a gene or spot name is missing or
            occurs twice; a value is missing, no number, negative or fractional.
    """
    from scipy.sparse import csr_matrix

    path = _existing(path, "count file")
    genes = _gene_names(path)
    for position, gene in enumerate(genes, start=1):
        if not gene.strip():
            raise UserError(f"The count file {path} has no gene name in column {position}.")
    _refuse_repeated(genes, f"The count file {path}", "gene")

    values = _read_tsv(path, header=None, skiprows=1, names=["spot", *genes], index_col=False)
    spots = _spot_keys(values.pop("spot"), path)
    try:
        counts = values.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        counts = values.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))
    if not good.all():
        row, column = np.argwhere(~good)[0]
        raise UserError(
            f"The count file {path} has {_complaint(values.iloc[row, column])} at spot "
            f"{spots[row]}, gene {genes[column]}; counts must be whole numbers of 0 or more."
        )
    return Counts(csr_matrix(counts, dtype=np.float32), genes, spots)


def read_spots(path: str | os.PathLike) -> pd.DataFrame:
    """Read a spot file: a TSV with x, y, pixel_x (column), pixel_y (row), maybe selected.

    Returns:
        One row a spot, indexed "XxY": array_col, array_row (int64), pixel_x, pixel_y
        (float64, level 0) and selected (bool, True where the file does not say).

    Raises:
        UserError: the file is missing or empty, lacks a column or a value, or names a spot
            twice.
    """
    path = _existing(path, "spot file")
    table = _with_columns(_read_tsv(path), SPOT_COLUMNS, path)
    numbers = table[list(SPOT_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(dtype=np.float64))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise UserError(
            f"The spot file {path} has no number in column {SPOT_COLUMNS[column]} of row {row + 1}."
        )
    spots = pd.DataFrame(
        {
            "array_col": np.rint(numbers["x"]).astype(np.int64),
            "array_row": np.rint(numbers["y"]).astype(np.int64),
            "pixel_x": numbers["pixel_x"].astype(np.float64),
            "pixel_y": numbers["pixel_y"].astype(np.float64),
            "selected": table["selected"].astype(float) == 1 if "selected" in table else True,
        }
    )
    spots.index = pd.Index(_key(spots["array_col"], spots["array_row"]), name="spot")
    _refuse_repeated(spots.index.tolist(), f"The spot file {path}", "spot")
    return spots


def read_labels(path: str | os.PathLike) -> pd.Series:
    """Read a pathologist's labels: a TSV with x, y (rounded to array positions) and label.

    Rows without a position or a label are left out and counted in the log.

    Raises:
        UserError: the file is missing or empty, lacks a column, or labels a spot twice.
    """
    path = _existing(path, "label file")
    table = _with_columns(_read_tsv(path), LABEL_COLUMNS, path)
    complete = table.dropna(subset=list(LABEL_COLUMNS))
    if len(complete) < len(table):
        log.warning("%s: %d rows without position or label", path, len(table) - len(complete))
    labels = pd.Series(
        complete["label"].to_numpy(),
        index=pd.Index(_key(np.rint(complete["x"]), np.rint(complete["y"])), name="spot"),
        name="label",
        dtype=object,
    )
    _refuse_repeated(labels.index.tolist(), f"The label file {path}", "spot")
    return labels


def read_section(
    name: str,
    *,
    dataset: str,
    patient: str,
    image: str | os.PathLike,
    counts: str | os.PathLike,
    spots: str | os.PathLike,
    labels: str | os.PathLike | None = None,
    um_per_px: float | None = None,
) -> "AnnData":
    """Join a section's raw files on the array position of each spot.

    A spot is kept when it is selected, has counts and its centre lies on the slide; what is
    left out is counted in the log and in ``uns["section"]["dropped"]``. The spots keep the
    order of the count file.

    Args:
        um_per_px: micrometres a pixel at level 0; wins over what the slide itself says.

    Returns:
        AnnData, scverse conventions: X raw counts float32 CSR; obs array_row (y),
        array_col (x) and, with labels, label; obsm["spatial"] float64 pixels (x, y) of
        level 0; uns["spatial"][name] as squidpy expects it; uns["section"].

    Raises:
        UserError: a file is bad, no spot matches a row of counts, or no spot is left.
    """
    from anndata import AnnData

    matrix, genes, keys = read_counts(counts)
    places = read_spots(spots)
    with open_slide(image) as slide:
        width, height = slide.size_px
        thumbnail = slide.thumbnail(THUMBNAIL_PX)
        um_per_px = um_per_px or slide.um_per_px

    in_places = np.isin(keys, places.index)
    if not in_places.any():
        raise UserError(
            f"No spot of {spots} matches a row of {counts} (the first are {places.index[0]} and "
            f"{keys[0]}); check that both belong to section {name}."
        )
    joined = places.reindex(keys)
    selected = joined["selected"].eq(True).to_numpy()
    on_slide = joined["pixel_x"].between(0, width - 1) & joined["pixel_y"].between(0, height - 1)
    kept = selected & on_slide.to_numpy()
    dropped = {
        "spots without counts": int((~places.index.isin(keys)).sum()),
        "counts without a spot": int((~in_places).sum()),
        "not selected": int((in_places & ~selected).sum()),
        "off the slide": int((selected & ~kept).sum()),
    }
    if not kept.any():
        raise UserError(
            f"Section {name} has no spots left ({_counted(dropped)}); check {spots} "
            f"against {image}."
        )
    joined = joined[kept]
    obs = pd.DataFrame(
        {
            "array_row": joined["array_row"].astype(np.int64),
            "array_col": joined["array_col"].astype(np.int64),
        },
        index=joined.index.astype(str).rename(None),
    )
    if labels is not None:
        by_spot = read_labels(labels)
        obs["label"] = pd.Categorical(by_spot.reindex(obs.index))
        dropped["spots without a label"] = int(obs["label"].isna().sum())
        dropped["labels without a spot"] = int((~by_spot.index.isin(obs.index)).sum())
    log.info("%s: %d spots, %d genes; %s", name, len(obs), len(genes), _counted(dropped))

    pixel_xy = joined[["pixel_x", "pixel_y"]].to_numpy(dtype=np.float64)
    metadata = {"source_image_path": str(image)}
    if um_per_px is not None:
        metadata["um_per_px"] = float(um_per_px)
    section = AnnData(
        X=matrix[kept],
        obs=obs,
        var=pd.DataFrame(index=pd.Index(genes)),
        obsm={"spatial": pixel_xy},
    )
    section.uns["spatial"] = {
        name: {
            "images": {"hires": thumbnail},
            "scalefactors": {
                "tissue_hires_scalef": max(thumbnail.shape) / max(width, height),
                "spot_diameter_fullres": spot_diameter_px(
                    obs[["array_col", "array_row"]].to_numpy(), pixel_xy, um_per_px
                ),
            },
            "metadata": metadata,
        }
    }
    section.uns["section"] = {
        "dataset": dataset,
        "patient": patient,
        "name": name,
        "dropped": dropped,
    }
    return section


def spot_diameter_px(array_xy: np.ndarray, pixel_xy: np.ndarray, um_per_px: float | None) -> float:
    """Diameter of a spot at level 0.

    Where the pixel size is unknown it follows from the pitch of the array: the affine map
    from array positions to pixels, fitted by least squares, stretches lengths by the square
    root of its determinant. NaN where the spots do not span a plane.

    Shapes:
        array_xy ``[n, 2]``, pixel_xy ``[n, 2]``.
    """
    if um_per_px is not None:
        return SPOT_DIAMETER_UM / um_per_px
    centred = array_xy - array_xy.mean(axis=0)
    slopes, _, rank, _ = np.linalg.lstsq(centred.astype(float), pixel_xy, rcond=None)
    if rank < 2:
        return float("nan")
    pitch_px = np.sqrt(abs(np.linalg.det(slopes)))
    return float(pitch_px * SPOT_DIAMETER_UM / SPOT_PITCH_UM)


def _existing(path: str | os.PathLike, kind: str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise UserError(f"The {kind} {path} does not exist; check the sample sheet.")
    return path


def _read_tsv(path: Path, **options: object) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", low_memory=False, **options)
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{path} is empty; fetch it again.") from error
    except (EOFError, OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise _unreadable(path, error) from error


def _gene_names(path: Path) -> list[str]:
    """The header of a count file, less the name of the column of spots if it has one."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", newline="") as file:
            rows = list(itertools.islice(csv.reader(file, delimiter="\t"), 2))
    except (EOFError, OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error
    if len(rows) < 2:
        raise UserError(f"The count file {path} is empty; fetch it again.")
    header, first = rows
    names_the_spots = len(header) == len(first)
    if not names_the_spots and (len(header) != len(first) - 1 or not header[0]):
        raise UserError(
            f"The count file {path} has {len(header)} columns in its header and {len(first)} in "
            "its first row; fetch it again."
        )
    return header[1:] if names_the_spots else header


def _with_columns(table: pd.DataFrame, columns: tuple[str, ...], path: Path) -> pd.DataFrame:
    missing = [column for column in columns if column not in table]
    if missing:
        raise UserError(
            f"{path} lacks the column {missing[0]}; it must have {', '.join(columns)}, "
            "separated by tabs."
        )
    if table.empty:
        raise UserError(f"{path} holds no rows; fetch it again.")
    return table


def _spot_keys(names: pd.Series, path: Path) -> list[str]:
    """Row names "XxY" with both numbers rounded to whole array positions."""
    parts = names.astype(str).str.extract(r"^(-?\d+(?:\.\d+)?)x(-?\d+(?:\.\d+)?)$").astype(float)
    if parts.isna().any(axis=None):
        row = int(np.argmax(parts.isna().any(axis=1)))
        shown = "no name" if pd.isna(names.iloc[row]) else f"'{names.iloc[row]}'"
        raise UserError(
            f"The count file {path} has {shown} for row {row + 1}; a row is named after its "
            "array position, such as 10x14."
        )
    keys = _key(np.rint(parts[0]), np.rint(parts[1]))
    _refuse_repeated(keys, f"The count file {path}", "spot")
    return keys


def _key(x: pd.Series, y: pd.Series) -> list[str]:
    return [f"{column:.0f}x{row:.0f}" for column, row in zip(x, y, strict=True)]


def _refuse_repeated(names: list[str], source: str, kind: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError(f"{source} names the {kind} {name} twice.")
        seen.add(name)


def _complaint(value: object) -> str:
    if pd.isna(value):
        return "no value"
    try:
        number = float(value)
    except (TypeError, ValueError):
        return f"'{value}'"
    if number < 0:
        return f"a negative count ({number:g})"
    return f"a fractional count ({number:g})" if np.isfinite(number) else f"'{value}'"


def _counted(dropped: dict[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in dropped.items())


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(f"{path} cannot be read as a table ({reason}); fetch it again.")
