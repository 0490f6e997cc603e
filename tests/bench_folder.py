"""A folder as HEST-Bench has it, with made-up sections."""

import json
from collections.abc import Sequence
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

SLIDE_UM_PER_PX = 0.25
PATCH_PX, PATCH_UM = 224, 112
SAMPLES = ("S1", "S2", "S3", "S4")
GENES = [f"G{number}" for number in range(12)]
PANEL = GENES[2:10][::-1]


def make_task(
    folder: Path, columns: int = 7, rows: int = 6, samples: Sequence[str] = SAMPLES
) -> Path:
    """A task of four samples of four patients in two folds; returns its folder.

    Each sample has a spot without a patch, and patches in another order than its spots.
    """
    for name in ("splits", "patches", "adata"):
        (folder / name).mkdir(parents=True)
    (folder / "var_50genes.json").write_text(json.dumps({"genes": PANEL}))
    for fold, tested in enumerate((samples[:2], samples[2:])):
        for role in ("train", "test"):
            chosen = [each for each in samples if (each in tested) is (role == "test")]
            table = pd.DataFrame({"sample_id": chosen})
            table["patches_path"] = "patches/" + table["sample_id"] + ".h5"
            table["expr_path"] = "adata/" + table["sample_id"] + ".h5ad"
            table.to_csv(folder / "splits" / f"{role}_{fold}.csv", index=False)
    for seed, sample in enumerate(samples):
        _make_sample(folder, sample, np.random.default_rng(seed), columns, rows)
    return folder


def _make_sample(
    folder: Path, sample: str, rng: np.random.Generator, columns: int, rows: int
) -> None:
    array = np.stack(np.meshgrid(range(columns), range(rows)), axis=2).reshape(-1, 2)
    centres = 1000 + 100 / SLIDE_UM_PER_PX * array.astype(float)
    barcodes = np.array([f"{x:03d}x{y:03d}" for x, y in array])
    coarse = rng.integers(60, 250, size=(len(array), 7, 7, 3), dtype=np.uint8)
    images = coarse.repeat(PATCH_PX // 7, axis=1).repeat(PATCH_PX // 7, axis=2)
    rate = np.exp(2 + coarse.reshape(len(array), -1)[:, : len(GENES)] / 120)
    counts = sparse.csr_matrix(rng.poisson(rate).astype(np.float32))
    table = anndata.AnnData(
        counts,
        pd.DataFrame({"array_col": array[:, 0], "array_row": array[:, 1]}, index=barcodes),
        pd.DataFrame(index=GENES),
        obsm={"spatial": centres},
    )
    table.write_h5ad(folder / "adata" / f"{sample}.h5ad")
    kept = rng.permutation(len(array))[1:]
    half = PATCH_UM / SLIDE_UM_PER_PX / 2
    with h5py.File(folder / "patches" / f"{sample}.h5", "w") as file:
        file["img"] = images[kept]
        file["coords"] = (centres[kept] - half).astype(np.int64)
        file.create_dataset(
            "barcode", data=barcodes[kept, None].tolist(), dtype=h5py.string_dtype()
        )
