"""A section and its predictions as jobs write them, small, for pages of the viewer."""

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from scipy.sparse import csr_matrix

from reg2st.evaluation.correlations import pearson
from reg2st.sections.section_file import write_section
from sections import about, log_expression

PITCH_PX, UM_PER_PX = 100.0, 2.0
SIZE_PX = (1300, 1100)
MARK_PX = 12
"""A dark square in the middle of each spot of the slide, to compare picture and spots."""


def make_section(
    folder: Path, *, name: str, genes: list[str], region: str = "tumour", barcode: str = "{}"
) -> dict:
    """Files of a section of 10 x 8 spots, as arguments of ``page_of_section``.

    Ridge predicts well without a spread, SPRIG badly with one; the last gene is constant, and the
    last spot has no region.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    columns, rows = (each.ravel() for each in np.meshgrid(np.arange(10), np.arange(8)))
    places = np.column_stack([150 + PITCH_PX * columns, 150 + PITCH_PX * rows])
    counts = random.poisson(2 + columns[:, None], (len(columns), len(genes))).astype(np.float32)
    counts[:, -1] = 0
    barcodes = [barcode.format(f"{x}x{y}") for x, y in zip(columns, rows, strict=True)]
    draw_slide(folder / "slide.png", places)

    section = anndata.AnnData(
        X=csr_matrix(counts),
        obs=pd.DataFrame({"array_row": rows, "array_col": columns}, index=barcodes),
        var=pd.DataFrame(index=genes),
        obsm={"spatial": places},
    )
    section.uns["spatial"] = {
        "slide": {
            "images": {"hires": np.zeros((8, 8, 3), np.uint8)},
            "scalefactors": {"tissue_hires_scalef": 0.01, "spot_diameter_fullres": 55.0},
            "metadata": {"source_image_path": "slide.png"},
        }
    }
    sizes = {"um_per_px": UM_PER_PX, "spot_pitch_px": PITCH_PX}
    section.uns["section"] = about(name, "demo", "P1", **sizes)
    write_section(section, folder / "section.h5ad")
    regions = [region if x < 5 else "stroma" for x in columns]
    table = pd.DataFrame({"barcode": barcodes, "label": [*regions[:-1], ""]})
    table.to_csv(folder / "labels.tsv", sep="\t", index=False)
    (folder / "panel.txt").write_text("".join(f"{gene}\n" for gene in genes))

    observed = log_expression(counts)
    of_methods = {
        "ridge": (observed + random.normal(0, 0.2, observed.shape), None),
        "sprig": (
            observed.mean(axis=0) + random.normal(0, 0.1, observed.shape),
            random.uniform(0.1, 0.3, observed.shape),
        ),
    }
    files: dict[str, dict[str, Path]] = {"predictions": {}, "scores": {}, "records": {}}
    for method, (predicted, spread) in of_methods.items():
        write_run(folder / method, name, method, barcodes, genes, observed, predicted, spread)
        files["predictions"][method] = folder / method / "predictions.h5ad"
        files["scores"][method] = folder / method / "scores.tsv"
        files["records"][method] = folder / method / "run.json"
    return {
        "section": folder / "section.h5ad",
        "image": folder / "slide.png",
        "study": "made_up",
        "target": "paper",
        "reference": "sprig",
        "split": "section_out",
        "panel": folder / "panel.txt",
        "labels": folder / "labels.tsv",
        **files,
    }


def draw_slide(path: Path, places: np.ndarray) -> None:
    """A pale slide with a dark square at each place."""
    picture = Image.new("RGB", SIZE_PX, (230, 210, 225))
    pen = ImageDraw.Draw(picture)
    for x, y in places:
        half = MARK_PX / 2
        pen.rectangle([x - half, y - half, x + half - 1, y + half - 1], fill=(60, 20, 90))
    picture.save(path)


def write_run(folder, name, method, barcodes, genes, observed, predicted, spread) -> None:
    """Predictions, scores and record of a method."""
    folder.mkdir()
    adata = anndata.AnnData(
        X=predicted.astype(np.float32),
        obs=pd.DataFrame(
            {"fold": "f", "section": name, "patient": "P1", "barcode": barcodes},
            index=[f"{number}" for number in range(len(barcodes))],
        ),
        var=pd.DataFrame(index=genes),
        uns={"target": "paper"},
    )
    if spread is not None:
        adata.layers["spread"] = spread.astype(np.float32)
    adata.write_h5ad(folder / "predictions.h5ad")
    scores = pd.DataFrame({"section": name, "gene": genes, "pcc": pearson(observed, predicted)})
    scores.to_csv(folder / "scores.tsv", sep="\t", index=False)
    record = {
        "preset": "quick",
        "panel": "panel.txt",
        "training_sections": ["Z1", "Z2"],
        "features": [{"encoder": "mean_grey"}],
        "git_commit": "0123abc",
    }
    (folder / "run.json").write_text(json.dumps(record))
