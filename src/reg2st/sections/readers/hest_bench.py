"""HEST-Bench: a task's folder of adata/{id}.h5ad and patches/{id}.h5, without slides.

Its splits (``splits/``) are a ``folds_file``, its genes (``var_50genes.json``) a panel file.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reg2st.base.errors import UserError
from reg2st.sections.anndata_file import (
    open_anndata,
    raw_section,
    read_frame,
    read_raw_counts,
    read_spatial,
)
from reg2st.sections.geometry import SpotArray
from reg2st.sections.raw_section import RawSection, Stated
from reg2st.sections.section_row import SectionRow
from reg2st.sections.stored_patches import read_index

COLUMNS = ("folder", "hest_id", "layer")

UM_PER_PX = 0.5
"""Pixel size of the stored patches (Jaume et al. 2024: 224 px, 112 µm)."""


def required(row: SectionRow) -> tuple[str, ...]:
    """Columns of the sample sheet that a row must fill in."""
    return ("folder",)


def files(row: SectionRow, root: Path) -> dict[str, Path]:
    """The files that ``read`` needs, by name; the patches stand for the image.

    Raises:
        UserError: one is missing.
    """
    folder, name = root / row.folder, row.hest_id or row.section
    found = {
        "counts": folder / "adata" / f"{name}.h5ad",
        "image": folder / "patches" / f"{name}.h5",
    }
    for path in found.values():
        if not path.is_file():
            raise UserError(
                f"the HEST-Bench folder {folder} has no {path.relative_to(folder)}; download it, "
                "or correct `hest_id`."
            )
    return found


def read(files: Mapping[str, Path], row: SectionRow) -> RawSection:
    """The spots that have a patch, in the order of the patches, as HEST-Bench takes them.

    Positions are in pixels of the slide that the patches were cut from. Its pixel size follows
    from the distance of a spot from the corner of its patch.

    Raises:
        UserError: a file is bad, or a patch belongs to no spot.
    """
    path = files["counts"]
    index = read_index(files["image"])
    with open_anndata(path) as file:
        spatial = read_spatial(file, path)
        if spatial is None:
            raise UserError(f'{path} has no spot positions: it lacks obsm["spatial"].')
        counts, genes = read_raw_counts(file, row.layer, path)
        obs = read_frame(file, "obs")
    places = obs.index.get_indexer(index.barcodes)
    if (places < 0).any():
        raise UserError(
            f"{files['image']} has a patch of spot {index.barcodes[places < 0][0]}, which {path} "
            "lacks; fetch both again."
        )
    obs, spatial = obs.iloc[places], spatial[places]
    raw = raw_section(row, path, counts[places], genes, obs, spatial, SpotArray())
    half_px = float(np.median(spatial - index.corners))
    if half_px <= 0:
        raise UserError(f"{path} and {files['image']} do not fit: spots lie outside their patches.")
    um_per_px = UM_PER_PX * index.patch_px / (2 * half_px)
    return dataclasses.replace(
        raw,
        um_per_px=Stated(um_per_px, "the patches of 0.5 µm a pixel"),
        dropped={**raw.dropped, "without a patch": len(counts.indptr) - 1 - len(places)},
    )
