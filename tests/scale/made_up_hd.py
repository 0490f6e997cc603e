"""Sections of Visium HD of any number of bins, made up: a slide, a matrix, positions, a study."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import tifffile
import yaml

BIN_UM, UM_PER_PX = 8, 0.5
BIN_PX = round(BIN_UM / UM_PER_PX)
GENES, PANEL, COUNTS_A_BIN = 18_000, 785, 300
MARGIN_PX = 256
TILE_PX = 256
LEVELS = 3
ROWS_AT_A_TIME = 64
FIELD = {"um_per_px": 0.25}
"""Fields of 56 µm, about a spot of Visium, on bins of 8 µm."""


def make_study(folder: Path, bins: int) -> Path:
    """Two sections, one to train on and one to test on; returns the config file."""
    side = round(bins**0.5)
    rows = []
    for seed, section in enumerate(("A1", "B1")):
        make_section(folder / "data" / section, side, seed)
        rows.append(f"{section}\t{section[0]}\tvisium_hd\t{section}\t{section}/slide.tif\t{BIN_UM}")
    sheet = folder / "sheet.tsv"
    heads = "section\tpatient\tplatform\tfolder\timage\tbin_um"
    sheet.write_text("\n".join([heads, *rows]) + "\n")
    panel = folder / "panel.txt"
    panel.write_text("".join(f"{gene}\n" for gene in gene_names()[:PANEL]))
    config = {
        "name": "hd",
        "datasets": {
            "hd": {
                "root": str(folder / "data"),
                "sheet": str(sheet),
                "panel": {"file": str(panel)},
                "folds": {"patient_out": ["A"]},
            }
        },
        "splits": ["patient_out"],
        "views": {"bin": FIELD},
        "inputs": {
            "embeddings": [{"encoder": "tissue_statistics", "view": "bin"}],
            "patches": "bin",
            "standardise": "section",
        },
        "methods": {"brightness": {}, "ridge": {}, "sprig": {}},
        "figures": {"best_genes": 2},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def gene_names() -> list[str]:
    return [f"GENE{number:05d}" for number in range(GENES)]


def make_section(folder: Path, side: int, seed: int) -> None:
    """The outs folder of a square of ``side`` x ``side`` bins, and its slide."""
    rng = np.random.default_rng(seed)
    dense = tissue(side, rng)
    square = folder / "binned_outputs" / f"square_{BIN_UM:03d}um"
    (square / "spatial").mkdir(parents=True)
    row, column = (place.ravel() for place in np.mgrid[:side, :side])
    barcodes = [f"s_{BIN_UM:03d}um_{y:05d}_{x:05d}-1" for y, x in zip(row, column, strict=True)]
    pd.DataFrame(
        {
            "barcode": barcodes,
            "in_tissue": 1,
            "array_row": row,
            "array_col": column,
            "pxl_row_in_fullres": MARGIN_PX + (row + 0.5) * BIN_PX,
            "pxl_col_in_fullres": MARGIN_PX + (column + 0.5) * BIN_PX,
        }
    ).to_parquet(square / "spatial" / "tissue_positions.parquet")
    factors = {"microns_per_pixel": UM_PER_PX, "bin_size_um": BIN_UM}
    (square / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    write_matrix(square / "filtered_feature_bc_matrix.h5", dense, barcodes, rng)
    write_slide(folder / "slide.tif", dense, rng)


def tissue(side: int, rng: np.random.Generator) -> np.ndarray:
    """How dense the tissue is at each bin, smooth, 0 to 1: ``[side, side]``."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=(side, side)), 12, mode="reflect")
    return (noise - noise.min()) / np.ptp(noise)


def write_matrix(
    path: Path, dense: np.ndarray, barcodes: list[str], rng: np.random.Generator
) -> None:
    """Counts whose genes mix two profiles as the tissue is more or less dense."""
    profiles = rng.gamma(0.3, size=(2, GENES)) / np.sqrt(1 + np.arange(GENES))
    profiles /= profiles.sum(axis=1, keepdims=True)
    levels = profiles.cumsum(axis=1)
    data, indices, indptr = [], [], [0]
    share = dense.ravel()
    for start in range(0, len(share), 4096):
        some = share[start : start + 4096]
        library = rng.poisson(COUNTS_A_BIN, len(some))
        spot = np.repeat(np.arange(len(some)), library)
        of_second = rng.random(len(spot)) < some[spot]
        drawn = rng.random(len(spot))
        gene = np.where(
            of_second, np.searchsorted(levels[1], drawn), np.searchsorted(levels[0], drawn)
        )
        found, count = np.unique(spot * GENES + np.minimum(gene, GENES - 1), return_counts=True)
        data.append(count.astype(np.int32))
        indices.append((found % GENES).astype(np.int32))
        in_each = np.bincount(found // GENES, minlength=len(some))
        indptr += (indptr[-1] + in_each.cumsum()).tolist()
    names = np.array(gene_names(), dtype="S")
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name, values in (("data", data), ("indices", indices)):
            group.create_dataset(name, data=np.concatenate(values), compression="lzf")
        group["indptr"] = np.array(indptr, dtype=np.int64)
        group["shape"] = np.array([GENES, len(share)], dtype=np.int32)
        group["barcodes"] = np.array(barcodes, dtype="S")
        features = group.create_group("features")
        features["id"] = features["name"] = names
        features["feature_type"] = np.array(["Gene Expression"] * GENES, dtype="S")


def write_slide(path: Path, dense: np.ndarray, rng: np.random.Generator) -> None:
    """A tiled pyramidal TIFF: pink where the tissue is, with more nuclei where it is dense."""
    width = -(-(len(dense) * BIN_PX + 2 * MARGIN_PX) // TILE_PX) * TILE_PX
    image = np.full((width, width, 3), (240, 236, 242), dtype=np.uint8)
    inside = slice(MARGIN_PX, MARGIN_PX + len(dense) * BIN_PX)
    for channel, (pale, dark) in enumerate(((226, 176), (168, 112), (206, 176))):
        shade = pale + (dark - pale) * dense
        image[inside, inside, channel] = np.repeat(np.repeat(shade, BIN_PX, 0), BIN_PX, 1)
    disc = np.hypot(*np.mgrid[-6:7, -6:7]) <= 6
    nuclei = rng.integers(MARGIN_PX, inside.stop, (dense.size * 2, 2))
    bins = np.minimum((nuclei - MARGIN_PX) // BIN_PX, len(dense) - 1)
    for y, x in nuclei[rng.random(len(nuclei)) < dense[bins[:, 0], bins[:, 1]]]:
        image[y - 6 : y + 7, x - 6 : x + 7][disc] = (96, 62, 138)
    options = {"tile": (TILE_PX, TILE_PX), "compression": "jpeg", "photometric": "rgb"}
    with tifffile.TiffWriter(path) as tiff:
        for level in range(LEVELS):
            step = 2**level
            tiff.write(image[::step, ::step], subfiletype=int(level > 0), **options)
