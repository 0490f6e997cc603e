"""Predict the spots of a slide from their features."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from reg2st.features.graphs import nearest_neighbours
from reg2st.models.interface import FeatureBlock, Model, Prediction, SectionTensors
from reg2st.models.model_folder import ModelDescription
from reg2st.models.windows import predict_in_windows
from reg2st.sections.spot_grid import LATTICES, interleaved
from reg2st.training.load import scale_of, scaled

if TYPE_CHECKING:
    from anndata import AnnData


def predict_spots(
    model: Model,
    description: ModelDescription,
    section: "AnnData",
    features: np.ndarray,
    pitch_um: float,
    device: str,
) -> Prediction:
    """Predict all spots, on grids as wide as the one of training.

    A denser grid is cut into interleaved ones, so that a spot's neighbours are as far away as in
    training.

    Args:
        section: n spots on a grid, without counts.
        features: float32 ``[n, d]``.
        pitch_um: of the grid.
        device: ``cpu`` or ``cuda``, where the model is.
    """
    grid = description.grid
    scale = scale_of(features) if description.standardise == "section" else None
    embedding = scaled(features, scale)
    array_xy = section.obs[["array_col", "array_row"]].to_numpy()
    lattice = np.array(section.uns["section"]["lattice"])
    kind = next(name for name, each in LATTICES.items() if np.allclose(each, lattice))
    times = max(round(grid.pitch_um / pitch_um), 1)
    coarser = interleaved(kind, array_xy, times)
    blocks = tuple(
        FeatureBlock(each.encoder, each.groups, each.view) for each in description.blocks
    )
    rows, parts = [], []
    for which in np.unique(coarser):
        some = np.flatnonzero(coarser == which)
        pitches = array_xy[some] * lattice / times
        edges = None
        if description.graph is not None:
            edges = nearest_neighbours(
                pitches, description.graph.neighbours, description.graph.within
            )
        tensors = SectionTensors(
            name=section.uns["section"]["name"],
            patient=section.uns["section"]["patient"],
            array_xy=torch.from_numpy(array_xy[some] // times),
            pitch_xy=torch.from_numpy(pitches),
            embedding=embedding[some],
            edge_index=None if edges is None else torch.from_numpy(edges),
            blocks=blocks,
            target=description.target,
        )
        with torch.inference_mode():
            parts.append(predict_in_windows(model, tensors.to(device), description.window_spots))
        rows.append(some)
    order = torch.from_numpy(np.argsort(np.concatenate(rows)))
    return Prediction(
        expression=torch.cat([part.expression.cpu() for part in parts])[order],
        spread=None
        if parts[0].spread is None
        else torch.cat([part.spread.cpu() for part in parts])[order],
        expected_pcc=_mean_expectation(parts, [len(some) for some in rows]),
    )


def _mean_expectation(parts: list[Prediction], spots: list[int]) -> torch.Tensor | None:
    """The PCC that the parts expect of each gene, weighted by their spots."""
    if parts[0].expected_pcc is None:
        return None
    expected = torch.stack([part.expected_pcc.cpu() for part in parts])
    return (expected * torch.tensor(spots)[:, None]).sum(0) / sum(spots)


def with_prediction(
    section: "AnnData", description: ModelDescription, prediction: Prediction, distance: np.ndarray
) -> "AnnData":
    """The spots of a slide with what a model predicts of them, and their distance from training."""
    from anndata import AnnData

    expression = prediction.expression.float().numpy()
    var: dict[str, Any] = {"mean": expression.mean(axis=0)}
    if prediction.expected_pcc is not None:
        var["expected_pcc"] = prediction.expected_pcc.float().numpy()
    adata = AnnData(
        X=expression,
        obs=section.obs.assign(distance=distance),
        var=pd.DataFrame(var, index=pd.Index(description.genes, name="gene")),
        obsm={"spatial": section.obsm["spatial"]},
        uns=dict(section.uns),
    )
    if prediction.spread is not None:
        adata.layers["spread"] = prediction.spread.float().numpy()
    return adata
