"""Read a section's raw files (counts, spots, labels) and join them.

A spot is known everywhere by its array position, "XxY": column x, row y, whole numbers.
"""

import logging
import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.readers.count_tables import read_counts, spot_key
from reg2st.sections.slides import open_slide
from reg2st.sections.tables import read_columns, repeated

if TYPE_CHECKING:
    from anndata import AnnData

log = logging.getLogger(__name__)

SPOT_PITCH_UM = 200.0
SPOT_DIAMETER_UM = 100.0
"""Spatial Transcriptomics arrays: 100 µm spots, 200 µm apart (Ståhl et al. 2016)."""

THUMBNAIL_PX = 1000

SPOT_FILE, LABEL_FILE = "spot file", "label file"
SPOT_COLUMNS = ("x", "y", "pixel_x", "pixel_y")
LABEL_COLUMNS = ("x", "y", "label")
MISSING = ("", "NA", "nan")
"""What R and pandas write where a label or its position is missing."""

TRUTHS = dict.fromkeys(("1", "1.0", "true", "yes"), True)
TRUTHS |= dict.fromkeys(("0", "0.0", "false", "no"), False)


def read_spots(path: str | os.PathLike) -> pd.DataFrame:
    """Read a spot file: a table with x, y, pixel_x (column), pixel_y (row), maybe selected.

    An alignment table is one without ``selected``.

    Returns:
        One row a spot, indexed "XxY": array_col, array_row (int64), pixel_x, pixel_y
        (float64, level 0) and selected (bool, True where the file does not say).

    Raises:
        UserError: the file is missing, empty or no table, lacks a column or a value, or names a
            spot twice.
    """
    table = read_columns(path, SPOT_FILE, SPOT_COLUMNS, optional=("selected",))
    numbers = table[list(SPOT_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(dtype=np.float64))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        value = table[SPOT_COLUMNS[column]].iloc[row]
        raise UserError(
            f"The spot file {path} has no number in column {SPOT_COLUMNS[column]} of row {row + 1}"
            f"{f', but {value!r}' if value else ''}; correct line {table.index[row]}."
        )
    spots = pd.DataFrame(
        {
            "array_col": np.rint(numbers["x"]).astype(np.int64),
            "array_row": np.rint(numbers["y"]).astype(np.int64),
            "pixel_x": numbers["pixel_x"].astype(np.float64),
            "pixel_y": numbers["pixel_y"].astype(np.float64),
            "selected": _truths(table["selected"], path) if "selected" in table else True,
        }
    )
    spots.index = pd.Index(_keys(numbers), name="spot")
    _refuse_repeated(spots.index, f"The spot file {path}")
    return spots


def read_labels(path: str | os.PathLike) -> pd.Series:
    """Read a pathologist's labels: a table with x, y (rounded to array positions) and label.

    Labels are text, whatever they look like. Rows without a position or a label (empty, ``NA``
    or ``nan``) are left out and counted in the log.

    Raises:
        UserError: the file is missing, empty or no table, lacks a column, has a position that is
            no number, or labels a spot twice.
    """
    table = read_columns(path, LABEL_FILE, LABEL_COLUMNS)
    complete = table[~table[list(LABEL_COLUMNS)].isin(MISSING).any(axis=1)]
    if len(complete) < len(table):
        log.warning("%s: %d rows without position or label", path, len(table) - len(complete))
    positions = complete[["x", "y"]].apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(positions.to_numpy(dtype=np.float64)).all(axis=1)
    if bad.any():
        line = complete.index[bad][0]
        raise UserError(
            f"The label file {path}, line {line}: x '{table.loc[line, 'x']}' and y "
            f"'{table.loc[line, 'y']}' must be numbers; correct them."
        )
    labels = pd.Series(
        complete["label"].to_numpy(),
        index=pd.Index(_keys(positions), name="spot"),
        name="label",
        dtype=object,
    )
    _refuse_repeated(labels.index, f"The label file {path}")
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


def _truths(values: pd.Series, path: str | os.PathLike) -> pd.Series:
    """Whether each value says yes, in one of the usual words."""
    words = values.str.casefold()
    known = words.map(TRUTHS)
    if known.isna().any():
        row = int(np.argmax(known.isna()))
        shown = f"'{values.iloc[row]}'" if values.iloc[row] else "no value"
        raise UserError(
            f"The spot file {path} has {shown} in column selected of row {row + 1}; write 1 for a "
            "spot on the tissue and 0 for another."
        )
    return known.astype(bool)


def _keys(positions: pd.DataFrame) -> list[str]:
    return [spot_key(x, y) for x, y in zip(positions["x"], positions["y"], strict=True)]


def _refuse_repeated(spots: pd.Index, source: str) -> None:
    if (spot := repeated(spots)) is not None:
        raise UserError(f"{source} names the spot {spot} twice.")


def _counted(dropped: dict[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in dropped.items())
