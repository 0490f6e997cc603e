"""What a model predicts of a slide, as it is drawn and exported: chosen genes of all spots."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from numpy.typing import NDArray

from reg2st.base.errors import UserError
from reg2st.base.names import closest
from reg2st.sections.targets import TARGETS, Target


@dataclass(frozen=True)
class PredictedSlide:
    """Chosen genes of a slide's prediction, n spots, G genes.

    Attributes:
        genes: G rows, indexed by gene: mean, expected_pcc (NaN where the model expects none), and
            cross_validated_pcc (NaN where the model was not evaluated).
        expression: float32 ``[n, G]``, in units of the target.
        spread: predictive standard deviation, float32 ``[n, G]``; None if the model gives none.
        distance: float32 ``[n]``, how far the features lie from training; above 1 is far.
        notes: sentences on what is doubtful about the slide.
    """

    name: str
    genes: pd.DataFrame
    expression: NDArray[np.float32]
    spread: NDArray[np.float32] | None
    distance: NDArray[np.float32]
    target: Target
    method: str
    notes: list[str]


def read_predicted_slide(
    path: str | os.PathLike, scores: pd.DataFrame, named: Sequence[str], best: int
) -> PredictedSlide:
    """Read the named genes and the most trusted of the others.

    Genes are trusted by the PCC that the model expects of them, or else by their cross-validated
    PCC, or else by how much they vary over the slide.

    Args:
        path: what ``training.slide_prediction.predict_slide`` wrote.
        scores: of the model's genes, with columns gene and pcc; no row if it was not evaluated.
        named: genes to read.
        best: how many other genes to read.

    Raises:
        UserError: the model does not predict a named gene.
    """
    with h5py.File(path) as file:
        genes = read_elem(file["var"])
        about = file["uns"]
        for gene in named:
            if gene not in genes.index:
                raise UserError(
                    f"The model does not predict the gene {gene}{closest(gene, genes.index)}; "
                    "correct figures.genes."
                )
        by_gene = scores.set_index("gene")["pcc"]
        genes["cross_validated_pcc"] = by_gene.reindex(genes.index)
        if "expected_pcc" not in genes:
            genes["expected_pcc"] = np.nan
        trust = genes["expected_pcc"].fillna(genes["cross_validated_pcc"])
        if trust.isna().all():
            trust = pd.Series(file["X"][()].std(axis=0), genes.index)
        others = trust[~trust.index.isin(named)]
        chosen = [*named, *others.nlargest(best).index]
        # h5py reads columns in increasing order.
        columns = np.sort(genes.index.get_indexer(chosen))
        back = pd.Index(genes.index[columns]).get_indexer(chosen)
        spread = (
            file["layers"]["spread"][:, columns][:, back] if "spread" in file["layers"] else None
        )
        return PredictedSlide(
            name=about["section/name"].asstr()[()],
            genes=genes.loc[chosen],
            expression=file["X"][:, columns][:, back],
            spread=spread,
            distance=file["obs/distance"][()],
            target=TARGETS[about["target"].asstr()[()]],
            method=about["model/method"].asstr()[()],
            notes=about["slide/notes"].asstr()[()].tolist(),
        )
