"""How well a simulated slide was predicted: the PCC against its noiseless truth."""

import os

import anndata
import h5py
import pandas as pd
from scipy.spatial import KDTree

from reg2st.base.files import written_whole
from reg2st.evaluation.correlations import pearson
from reg2st.sections.targets import TARGETS

FARTHEST = 0.75
"""Pitches to the nearest spot of a grid, at most; what is farther lies outside the tissue found."""


def score_slide(
    predictions: str | os.PathLike,
    truth: str | os.PathLike,
    spots: str | os.PathLike,
    out: str | os.PathLike,
) -> None:
    """Compare predictions with the noiseless means at the simulated spots.

    Each simulated spot takes the value of the nearest predicted one.

    Args:
        predictions: what ``training.slide_prediction.predict_slide`` wrote.
        truth: HDF5 of the simulation: ``mean [n, G]``, barcode and gene.
        spots: TSV of the simulation, with the pixels of the same n spots.
        out: TSV of one row a predicted gene: gene, pcc, expected_pcc (which is of measured counts,
            so lower), and the number of spots compared.
    """
    predicted = anndata.read_h5ad(predictions)
    pixel_xy = pd.read_csv(spots, sep="\t")[["pixel_x", "pixel_y"]].to_numpy()
    with h5py.File(truth) as file:
        means = pd.DataFrame(file["mean"][()], columns=file["gene"].asstr()[()])
    target = TARGETS[predicted.uns["target"]]
    panel = means[predicted.var_names].to_numpy()
    expected = target.expression(panel, means.sum(axis=1).to_numpy())
    reach = FARTHEST * predicted.uns["section"]["spot_pitch_px"]
    distance, nearest = KDTree(predicted.obsm["spatial"]).query(pixel_xy)
    near = distance <= reach
    table = pd.DataFrame(
        {
            "gene": predicted.var_names,
            "pcc": pearson(expected[near], predicted.X[nearest[near]]),
            "expected_pcc": predicted.var.get("expected_pcc", float("nan")),
            "spots": int(near.sum()),
        }
    )
    with written_whole(out) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.4f")
