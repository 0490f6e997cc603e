"""Folders as Space Ranger writes them, small: a hexagonal array, or bins of Visium HD."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from scipy.io import mmwrite
from scipy.sparse import csc_matrix

WIDTH, HEIGHT = 1600, 1200
PITCH_PX = 50.0
HIRES_SCALE, LOWRES_SCALE = 0.25, 0.075
TISSUE = (100, 150, 900, 1000)
"""Left, top, right and bottom of an ellipse of tissue on the image."""

COLUMNS = ["barcode", "in_tissue", "array_row", "array_col"]
COLUMNS += ["pxl_row_in_fullres", "pxl_col_in_fullres"]


def stained() -> Image.Image:
    """A pink ellipse with darker dots on glass."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (243, 242, 244))
    draw = ImageDraw.Draw(image)
    draw.ellipse(TISSUE, fill=(214, 130, 185))
    rng = np.random.default_rng(0)
    for x, y in rng.uniform((300, 350), (700, 800), (200, 2)):
        draw.ellipse((x, y, x + 8, y + 8), fill=(110, 60, 140))
    return image


def hexagonal() -> pd.DataFrame:
    """Positions of a hexagonal array: rows sqrt(3)/2 pitches apart, columns half a pitch."""
    rows, columns = np.mgrid[:28, :60]
    even = (rows + columns) % 2 == 0
    return positions(
        rows[even], columns[even], 40 + rows[even] * PITCH_PX * 3**0.5 / 2,
        60 + columns[even] * PITCH_PX / 2, "{row:02d}{column:02d}ACGT-1",
    )  # fmt: skip


def square(bin_um: int, um_per_px: float) -> pd.DataFrame:
    """Positions of square bins without gaps over the image."""
    side = bin_um / um_per_px
    rows, columns = np.mgrid[: int(HEIGHT / side), : int(WIDTH / side)]
    rows, columns = rows.ravel(), columns.ravel()
    return positions(
        rows, columns, (rows + 0.5) * side, (columns + 0.5) * side,
        f"s_{bin_um:03d}um_{{row:05d}}_{{column:05d}}-1",
    )  # fmt: skip


def positions(rows, columns, pixel_rows, pixel_columns, barcode: str) -> pd.DataFrame:
    left, top, right, bottom = TISSUE
    across = (pixel_columns - (left + right) / 2) / ((right - left) / 2)
    down = (pixel_rows - (top + bottom) / 2) / ((bottom - top) / 2)
    names = [barcode.format(row=r, column=c) for r, c in zip(rows, columns, strict=True)]
    in_tissue = (across**2 + down**2 < 0.95).astype(int)
    values = (names, in_tissue, rows, columns, pixel_rows, pixel_columns)
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))


@dataclass
class Outs:
    """What a folder of Space Ranger will hold; change it, then write it."""

    positions: pd.DataFrame = field(default_factory=hexagonal)
    genes: list[str] = field(default_factory=lambda: [f"GENE{g}" for g in range(6)] + ["GENE1"])
    kinds: list[str] = field(default_factory=lambda: ["Gene Expression"] * 7)
    scalefactors: dict = field(
        default_factory=lambda: {
            "tissue_hires_scalef": HIRES_SCALE,
            "tissue_lowres_scalef": LOWRES_SCALE,
            "spot_diameter_fullres": 32.5,
            "fiducial_diameter_fullres": 52.0,
        }
    )
    suffix: str = "-1"

    def __post_init__(self) -> None:
        inside = self.positions[self.positions["in_tissue"] == 1]
        self.barcodes = inside["barcode"].sample(frac=1, random_state=1).tolist()
        rng = np.random.default_rng(2)
        self.counts = rng.poisson(2.0, (len(self.barcodes), len(self.genes)))

    def write_h5(self, path: Path, version: int = 3) -> None:
        """The matrix as HDF5 of Cell Ranger 3, or of version 2."""
        path.parent.mkdir(parents=True, exist_ok=True)
        matrix = csc_matrix(self.counts.T)
        ids = [f"ENSG{number:011d}" for number in range(len(self.genes))]
        with h5py.File(path, "w") as file:
            file.attrs["library_ids"] = np.array([b"S1"])
            file.attrs["chemistry_description"] = "Spatial 3' v1"
            file.attrs["version"] = 2
            group = file.create_group("matrix" if version == 3 else "GRCh38")
            group["data"] = matrix.data.astype(np.int32)
            group["indices"] = matrix.indices.astype(np.int64)
            group["indptr"] = matrix.indptr.astype(np.int64)
            group["shape"] = np.array(matrix.shape, dtype=np.int32)
            group["barcodes"] = np.array(self.barcodes, dtype="S")
            if version == 2:
                group["genes"] = np.array(ids, dtype="S")
                group["gene_names"] = np.array(self.genes, dtype="S")
                return
            features = group.create_group("features")
            features["id"] = np.array(ids, dtype="S")
            features["name"] = np.array(self.genes, dtype="S")
            features["feature_type"] = np.array(self.kinds, dtype="S")
            features["genome"] = np.array(["GRCh38"] * len(ids), dtype="S")

    def write_mtx(self, folder: Path, version: int = 3) -> None:
        """The matrix as three files: gzipped as of version 3, or plain as of version 2."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [f"ENSG{number:011d}\t{gene}" for number, gene in enumerate(self.genes)]
        if version == 3:
            rows = [f"{row}\t{kind}" for row, kind in zip(rows, self.kinds, strict=True)]
        mmwrite(folder / "matrix.mtx", csc_matrix(self.counts.T), field="integer")
        (folder / "barcodes.tsv").write_text("".join(f"{name}\n" for name in self.barcodes))
        features = folder / ("features.tsv" if version == 3 else "genes.tsv")
        features.write_text("".join(f"{row}\n" for row in rows))
        if version == 3:
            for path in list(folder.iterdir()):
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
                path.unlink()

    def write_positions(self, path: Path, header: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            self.positions.to_parquet(path)
        else:
            self.positions.to_csv(path, index=False, header=header)

    def write_pictures(self, spatial: Path) -> None:
        spatial.mkdir(parents=True, exist_ok=True)
        for name, scale in (("hires", HIRES_SCALE), ("lowres", LOWRES_SCALE)):
            size = (round(WIDTH * scale), round(HEIGHT * scale))
            stained().resize(size).save(spatial / f"tissue_{name}_image.png")

    def write_scalefactors(self, spatial: Path) -> None:
        spatial.mkdir(parents=True, exist_ok=True)
        (spatial / "scalefactors_json.json").write_text(json.dumps(self.scalefactors))

    def write(self, outs: Path, change: Callable[["Outs", Path], None] | None = None) -> Path:
        """An outs folder of Space Ranger 2 and later, then changed."""
        self.write_h5(outs / "filtered_feature_bc_matrix.h5")
        self.write_positions(outs / "spatial" / "tissue_positions.csv")
        self.write_scalefactors(outs / "spatial")
        self.write_pictures(outs / "spatial")
        if change is not None:
            change(self, outs)
        return outs
