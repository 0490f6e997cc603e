"""The folder that Space Ranger writes: its matrix, its spot positions, its pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.geometry import SpotArray
from reg2st.sections.json_file import read_object
from reg2st.sections.raw_section import RawSection, Stated
from reg2st.sections.section_row import SectionRow
from reg2st.sections.slides import open_slide
from reg2st.sections.tenx_matrix import MTX_FILES, TenxMatrix, read_matrix

MATRIX = "filtered_feature_bc_matrix"
POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
"""Files of spot positions, those of newer versions first."""

POSITION_COLUMNS = (
    "barcode",
    "in_tissue",
    "array_row",
    "array_col",
    "pxl_row_in_fullres",
    "pxl_col_in_fullres",
)

SCALEFACTORS = "scalefactors_json.json"
PICTURES = {"hires": "tissue_hires_image.png", "lowres": "tissue_lowres_image.png"}

LEAST_MATCH = 0.5
"""Share of the matrix's barcodes that must have a position."""

MOST_OUTSIDE_TISSUE = 0.05
"""Share of a filtered matrix's spots that may lie outside the tissue: Space Ranger writes none."""


def required(row: SectionRow) -> tuple[str, ...]:
    """Columns that a row must fill in: no image if Space Ranger's own picture is used."""
    return ("folder", "image") if row.picture == "full" else ("folder",)


def outs_folder(row: SectionRow, root: Path) -> Path:
    """The outs folder of a section, also if the sheet names the folder above it.

    Raises:
        UserError: there is no such folder.
    """
    folder = root / row.folder
    if not folder.is_dir():
        raise UserError(f"the folder {folder} does not exist; correct the sample sheet.")
    return folder / "outs" if (folder / "outs").is_dir() else folder


def folder_files(outs: Path, row: SectionRow, root: Path) -> dict[str, Path]:
    """The files to read in a folder of matrix and ``spatial``, by name.

    Raises:
        UserError: one is missing, or two could be meant.
    """
    spatial = outs / "spatial"
    positions = [spatial / name for name in POSITIONS if (spatial / name).is_file()]
    if not positions:
        raise UserError(
            f"{spatial} has no spot positions ({', '.join(POSITIONS)}); name the folder that "
            "Space Ranger wrote."
        )
    if not (spatial / SCALEFACTORS).is_file():
        raise UserError(f"{spatial} has no {SCALEFACTORS}; copy it from Space Ranger's output.")
    pictures = {kind: spatial / name for kind, name in PICTURES.items()}
    found = {"scalefactors": spatial / SCALEFACTORS}
    if row.picture == "full":
        found["image"] = root / row.image
        smaller = [kind for kind, path in pictures.items() if path.is_file()]
        found |= {kind: pictures[kind] for kind in smaller[:1]}
    elif row.image:
        found["image"] = root / row.image
    elif pictures[row.picture].is_file():
        found["image"] = pictures[row.picture]
    else:
        there = [kind for kind, path in pictures.items() if path.is_file()]
        remedy = f"set `picture` to {there[0]}" if there else "name the full-resolution image"
        raise UserError(f"{spatial} has no {PICTURES[row.picture]}; {remedy}.")
    return {
        **_matrix_files(outs),
        **dict(zip(("positions", "positions_2", "positions_3"), positions, strict=False)),
        **found,
    }


def _matrix_files(outs: Path) -> dict[str, Path]:
    if (outs / f"{MATRIX}.h5").is_file():
        return {"matrix": outs / f"{MATRIX}.h5"}
    named = sorted(outs.glob(f"*{MATRIX}.h5"))
    if len(named) > 1:
        raise UserError(
            f"{outs} has {len(named)} matrices ({', '.join(each.name for each in named)}); give "
            "each section its own folder."
        )
    if named:
        return {"matrix": named[0]}
    folder = outs / MATRIX
    files = {
        kind: next((folder / name for name in names if (folder / name).is_file()), None)
        for kind, names in MTX_FILES.items()
    }
    if not any(files.values()):
        raise UserError(
            f"{outs} has no count matrix ({MATRIX}.h5 or a folder {MATRIX}); name the outs folder "
            "of Space Ranger."
        )
    for kind, path in files.items():
        if path is None:
            raise UserError(f"{folder} has no {MTX_FILES[kind][0]}; copy it there.")
    return files


def read_folder(files: Mapping[str, Path], row: SectionRow, array: SpotArray) -> RawSection:
    """Join a matrix and its positions: the spots in tissue, in the matrix's order.

    Args:
        files: what ``folder_files`` found.
        array: how the platform lays out its spots.

    Raises:
        UserError: a file is bad, the files do not belong together, or no spot is in tissue.
    """
    matrix = read_matrix(files)
    positions, places, notes = _matched(matrix, files, row)
    found = places >= 0
    in_tissue = np.zeros(len(places), dtype=bool)
    in_tissue[found] = positions["in_tissue"].to_numpy()[places[found]]
    tissue_spots = int(positions["in_tissue"].sum())
    if not in_tissue.any():
        raise UserError(
            f"Section {row.section}: no spot of {files['matrix']} is in tissue by "
            f"{files['positions']}; leave the section out by `sections`."
        )
    warnings = []
    outside = int((found & ~in_tissue).sum())
    if outside > MOST_OUTSIDE_TISSUE * len(places):
        warnings.append(
            f"Section {row.section}: {outside:,} of {len(places):,} spots of {files['matrix']} are "
            f"not in tissue by {files['positions']}; check that both are of the same section."
        )
    if matrix.repeated:
        notes.append(
            f"{row.section}: {matrix.repeated} genes bear the name of another gene; they are "
            "numbered (NAME-1)."
        )
    factors = read_object(files["scalefactors"])
    scale = 1.0
    if row.picture != "full":
        scale = scale_factor(factors, f"tissue_{row.picture}_scalef", files["scalefactors"])
        warnings.append(
            f"Section {row.section} is read from Space Ranger's {row.picture} picture, which has "
            f"{scale:.3g} of the full resolution."
        )
    kept = positions.iloc[places[in_tissue]]
    um_per_px = None
    if "microns_per_pixel" in factors:
        stated = scale_factor(factors, "microns_per_pixel", files["scalefactors"])
        um_per_px = Stated(stated / scale, SCALEFACTORS)
    return RawSection(
        name=row.section,
        platform=row.platform,
        counts=matrix.counts if in_tissue.all() else matrix.counts[in_tissue],
        genes=matrix.genes,
        gene_ids=matrix.gene_ids,
        barcodes=np.array(matrix.barcodes, dtype=object)[in_tissue].tolist(),
        pixel_xy=kept[["pixel_x", "pixel_y"]].to_numpy(dtype=np.float64) * scale,
        array_xy=kept[["array_col", "array_row"]].to_numpy(dtype=np.int64),
        array=array,
        um_per_px=um_per_px,
        image_width_px=_full_width(files, factors),
        dropped={
            "spots without counts": tissue_spots - int(in_tissue.sum()),
            "counts without a spot": int((~found).sum()),
            "not in tissue": outside,
            "features that are no genes": matrix.other_features,
        },
        notes=notes,
        warnings=warnings,
    )


def read_positions(path: Path) -> pd.DataFrame:
    """Spot positions of any version of Space Ranger.

    Parquet and the newer CSV have a header, the older CSV has none: the first cell tells.

    Returns:
        One row a spot, indexed by barcode: in_tissue (bool), array_row, array_col (int64),
        pixel_x, pixel_y (float64, full resolution).

    Raises:
        UserError: the file cannot be read, lacks a column or a number, or names a barcode twice.
    """
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (OSError, EOFError, ValueError, pd.errors.ParserError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"The spot positions {path} cannot be read ({reason}).") from error
    for column in POSITION_COLUMNS:
        if column not in table:
            raise UserError(f"The spot positions {path} have no column {column}.")
    barcodes = pd.Index(table["barcode"].astype(str))
    numbers = table[list(POSITION_COLUMNS[1:])].apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(dtype=np.float64))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise UserError(
            f"The spot positions {path} have no number in column {POSITION_COLUMNS[1 + column]} of "
            f"row {row + 1}."
        )
    if barcodes.has_duplicates:
        twice = barcodes[barcodes.duplicated()][0]
        raise UserError(f"The spot positions {path} name the barcode {twice} twice.")
    return pd.DataFrame(
        {
            "in_tissue": numbers["in_tissue"].to_numpy() == 1,
            "array_row": numbers["array_row"].to_numpy(dtype=np.int64),
            "array_col": numbers["array_col"].to_numpy(dtype=np.int64),
            "pixel_x": numbers["pxl_col_in_fullres"].to_numpy(dtype=np.float64),
            "pixel_y": numbers["pxl_row_in_fullres"].to_numpy(dtype=np.float64),
        },
        index=barcodes,
    )


def _read_csv(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    if table.iloc[0, 0] == "barcode":
        return table[1:].set_axis(table.iloc[0], axis=1).reset_index(drop=True)
    if table.shape[1] != len(POSITION_COLUMNS):
        raise ValueError(f"{table.shape[1]} columns instead of {len(POSITION_COLUMNS)}")
    return table.set_axis(list(POSITION_COLUMNS), axis=1)


def _one_table(files: Mapping[str, Path], section: str) -> pd.DataFrame:
    """The positions, if the versions of them that a folder holds agree."""
    paths = [path for name, path in files.items() if name.startswith("positions")]
    first, *others = [read_positions(path) for path in paths]
    for path, other in zip(paths[1:], others, strict=True):
        same = first.index.sort_values().equals(other.index.sort_values())
        if same:
            other = other.loc[first.index]
            pixels = ["pixel_x", "pixel_y"]
            same = first.drop(columns=pixels).equals(other.drop(columns=pixels)) and np.allclose(
                first[pixels], other[pixels], atol=1.0
            )
        if not same:
            raise UserError(
                f"Section {section}: {paths[0]} and {path} disagree; keep the one that belongs to "
                "the matrix."
            )
    return first


def _matched(
    matrix: TenxMatrix, files: Mapping[str, Path], row: SectionRow
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """The positions, for each barcode of the matrix its row in them (-1: none), and notes."""
    positions = _one_table(files, row.section)
    places = positions.index.get_indexer(matrix.barcodes)
    notes = []
    if (places < 0).all():
        ours, theirs = (
            pd.Index(names).str.replace(r"-\d+$", "", regex=True)
            for names in (matrix.barcodes, positions.index)
        )
        if ours.is_unique and theirs.is_unique:
            places = theirs.get_indexer(ours)
            notes.append(
                f"{row.section}: matrix and positions write barcodes with different endings "
                f"({matrix.barcodes[0]}, {positions.index[0]}); they are matched without."
            )
    matching = int((places >= 0).sum())
    if matching < max(1, LEAST_MATCH * len(places)):
        raise UserError(
            f"Section {row.section}: only {matching:,} of {len(places):,} barcodes of "
            f"{files['matrix']} are in {files['positions']}; check that both are of the same "
            "section."
        )
    return positions, places, notes


def scale_factor(factors: dict[str, Any], name: str, path: Path) -> float:
    """A scale factor of Space Ranger, by its name in the file ``path``.

    Raises:
        UserError: the file has no such number above 0.
    """
    value = factors.get(name)
    if not isinstance(value, int | float) or not 0 < value < np.inf:
        raise UserError(f"The scale factors {path} have no {name} above 0.")
    return float(value)


def _full_width(files: Mapping[str, Path], factors: dict[str, Any]) -> Stated | None:
    """The width of the full-resolution image, from the smaller picture in the folder."""
    for kind in PICTURES:
        if kind in files:
            factor = scale_factor(factors, f"tissue_{kind}_scalef", files["scalefactors"])
            with open_slide(files[kind]) as picture:
                width, _ = picture.size_px
            told = f"{files[kind].name} ({width:,} px wide, {factor:.3g} of the full size)"
            return Stated(width / factor, told)
    return None
