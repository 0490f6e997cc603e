"""Predict the test sections of every fold with its model, without reading counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import torch

from reg2st.base.files import written_whole
from reg2st.models.interface import Prediction
from reg2st.models.registry import method as model_class
from reg2st.models.windows import predict_in_windows
from reg2st.sections.panels import read_genes
from reg2st.sections.section_file import load_section_arrays
from reg2st.study.specification import RunSpec, SectionFiles
from reg2st.training.failed_run import has_failed
from reg2st.training.load import load_sections
from reg2st.training.saved_model import build_model, chosen_settings, load_model
from reg2st.training.train import sizes_of


@dataclass(frozen=True)
class FoldPrediction:
    """Predictions of a fold's model for its test sections.

    Attributes:
        genes: the fold's panel.
        obs: one row for each spot: fold, section, patient, barcode, and on an array array_col
            and array_row.
        pixel_xy: float64 ``[spots, 2]``, spot centres, px of level 0.
        predictions: one for each section, in the order of the rows.
    """

    fold: str
    genes: list[str]
    obs: pd.DataFrame
    pixel_xy: np.ndarray
    predictions: list[Prediction]


def predict_folds(runs: Sequence[RunSpec], out: Path) -> None:
    """Write the cross-validated predictions of a method as one AnnData file, on the CPU.

    ``X`` is float32 ``[spots, genes]`` in the units of the target, which uns["target"] names; a
    gene outside a fold's panel is NaN there, and so is all of a fold whose run failed. obs holds
    fold, section, patient, barcode and, on an array, array coordinates of each spot,
    obsm["spatial"] its pixel coordinates (x, y) at level 0. If the method provides them,
    layers["spread"] is the predictive standard deviation of the target, in the same units, and
    varm["expected_pcc"] the PCC of each gene that each fold's model expects in a new section.

    Args:
        runs: one for each fold, with its model and its test sections.
    """
    folds = [_predict_fold(run) for run in runs]
    genes = pd.Index(dict.fromkeys(gene for fold in folds for gene in fold.genes), name="gene")
    adata = anndata.AnnData(
        X=_joined(folds, genes, "expression"),
        obs=pd.concat([fold.obs for fold in folds]),
        var=pd.DataFrame(index=genes),
        obsm={"spatial": np.concatenate([fold.pixel_xy for fold in folds])},
        uns={"run": _shared_key(runs[0]), "target": runs[0].target},
    )
    firsts = {fold.fold: fold.predictions[0] for fold in folds}
    if any(first.spread is not None for first in firsts.values()):
        adata.layers["spread"] = _joined(folds, genes, "spread")
    if any(first.expected_pcc is not None for first in firsts.values()):
        adata.varm["expected_pcc"] = pd.DataFrame(
            {
                fold.fold: pd.Series(firsts[fold.fold].expected_pcc.numpy(), index=fold.genes)
                for fold in folds
            },
            index=genes,
        )
    with written_whole(out) as temporary:
        adata.write_h5ad(temporary)


def _predict_fold(run: RunSpec) -> FoldPrediction:
    genes = read_genes(run.panel)
    rows, pixels = zip(*(_spots(run.key.fold, files) for files in run.sections), strict=True)
    if has_failed(run.model):
        predictions = [_nothing(run, len(obs), len(genes)) for obs in rows]
    else:
        sections = load_sections(run, with_targets=False)
        run = run.with_settings(chosen_settings(run.model))
        model = build_model(run, sizes_of(sections[0], genes), "cpu")
        load_model(model, run.model)
        model.eval()
        with torch.inference_mode():
            predictions = [
                predict_in_windows(model, section, run.window_spots) for section in sections
            ]
    return FoldPrediction(run.key.fold, genes, pd.concat(rows), np.concatenate(pixels), predictions)


def _nothing(run: RunSpec, n_spots: int, n_genes: int) -> Prediction:
    """The prediction of a run that failed: NaN."""
    expects = model_class(run.key.method).expects_pcc
    return Prediction(
        torch.full((n_spots, n_genes), np.nan),
        expected_pcc=torch.full((n_genes,), np.nan) if expects else None,
    )


def _spots(fold: str, files: SectionFiles) -> tuple[pd.DataFrame, np.ndarray]:
    """The obs rows of a section's spots, and their pixel coordinates."""
    arrays = load_section_arrays(files.section)
    obs = pd.DataFrame(
        {
            "fold": fold,
            "section": arrays.name,
            "patient": arrays.patient,
            "barcode": arrays.barcodes,
        },
        index=[f"{arrays.name}_{barcode}" for barcode in arrays.barcodes],
    )
    if arrays.array_xy is not None:
        obs["array_col"], obs["array_row"] = arrays.array_xy.T
    return obs, arrays.pixel_xy


def _joined(folds: list[FoldPrediction], genes: pd.Index, part: str) -> np.ndarray:
    """One part of all predictions, float32 ``[spots, genes]``; NaN outside a fold's panel."""
    joined = np.full((sum(len(fold.obs) for fold in folds), len(genes)), np.nan, np.float32)
    start = 0
    for fold in folds:
        columns = genes.get_indexer(fold.genes)
        for prediction in fold.predictions:
            end = start + len(prediction.expression)
            if (values := getattr(prediction, part)) is not None:
                joined[start:end, columns] = values.float().numpy()
            start = end
    return joined


def _shared_key(run: RunSpec) -> dict[str, str]:
    """The key that all folds share, as text."""
    return {name: str(value) for name, value in run.key.model_dump(exclude={"fold"}).items()}
