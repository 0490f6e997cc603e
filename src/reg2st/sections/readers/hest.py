"""HEST-1k: a folder of st/{id}.h5ad, wsis/{id}.tif and metadata/{id}.json."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.anndata_file import (
    open_anndata,
    raw_section,
    read_frame,
    read_raw_counts,
    read_spatial,
)
from reg2st.sections.geometry import SpotArray
from reg2st.sections.json_file import read_object
from reg2st.sections.raw_section import RawSection, Stated
from reg2st.sections.section_row import SectionRow

COLUMNS = ("folder", "hest_id", "layer")

POSITION_COLUMNS = (("pxl_col_in_fullres", "pxl_row_in_fullres"), ("y_pixel", "x_pixel"))
"""Columns of obs with x and y, where obsm["spatial"] is missing. In the files of DeepSpot
(Nonchev et al. 2025) ``x_pixel`` is the row and ``y_pixel`` the column."""


def required(row: SectionRow) -> tuple[str, ...]:
    """Columns of the sample sheet that a row must fill in."""
    return ("folder",)


def files(row: SectionRow, root: Path) -> dict[str, Path]:
    """The files that ``read`` needs, by name.

    Raises:
        UserError: one is missing.
    """
    folder, name = root / row.folder, row.hest_id or row.section
    found = {
        "counts": folder / "st" / f"{name}.h5ad",
        "image": folder / "wsis" / f"{name}.tif",
        "metadata": folder / "metadata" / f"{name}.json",
    }
    for path in found.values():
        if not path.is_file():
            raise UserError(
                f"the HEST-1k folder {folder} has no {path.relative_to(folder)}; download it, or "
                "correct `hest_id`."
            )
    return found


def read(files: Mapping[str, Path], row: SectionRow) -> RawSection:
    """The spots (or cells, or pooled transcripts) of a section of HEST-1k.

    Raises:
        UserError: a file is bad, or the section has no raw counts or positions.
    """
    path = files["counts"]
    metadata = read_object(files["metadata"])
    with open_anndata(path) as file:
        counts, genes = read_raw_counts(file, row.layer, path)
        obs = read_frame(file, "obs")
        spatial = read_spatial(file, path)
    if spatial is None:
        spatial = _positions_in(obs, path)
    array = SpotArray(_number(metadata, "inter_spot_dist"), _number(metadata, "spot_diameter"))
    um_per_px = _number(metadata, "pixel_size_um_estimated")
    width = _number(metadata, "fullres_px_width")
    name = files["metadata"].name
    return dataclasses.replace(
        raw_section(row, path, counts, genes, obs, spatial, array),
        um_per_px=Stated(um_per_px, name) if um_per_px else None,
        image_width_px=Stated(width, name) if width else None,
    )


def _positions_in(obs: pd.DataFrame, path: Path) -> np.ndarray:
    for x, y in POSITION_COLUMNS:
        if x in obs and y in obs:
            return obs[[x, y]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    raise UserError(f'{path} has no spot positions: neither obsm["spatial"] nor pixels in obs.')


def _number(metadata: dict[str, Any], name: str) -> float | None:
    """A positive number of the metadata; None where it is missing, null or NaN."""
    value = metadata.get(name)
    known = isinstance(value, int | float) and math.isfinite(value) and value > 0
    return float(value) if known else None
