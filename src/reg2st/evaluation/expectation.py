"""What a method expected of each gene, beside what happened in the test sections."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError


def expected_and_true(scores: pd.DataFrame, predictions: Iterable[Path]) -> pd.DataFrame:
    """PCC that models expected of each gene of their test sections, and the PCC reached.

    Args:
        scores: tidy scores of the runs that predicted (one dataset, split, method and seed).
        predictions: prediction files of these runs, each with ``var["expected_pcc"]``.

    Returns:
        One row a section and gene: section, patient, gene, expected, pcc (NaN where undefined).

    Raises:
        UserError: a prediction says nothing of its genes.
    """
    import anndata

    expected = []
    for path in predictions:
        adata = anndata.read_h5ad(path, backed="r")
        if "expected_pcc" not in adata.var:
            raise UserError(f"{path} does not say what PCC it expects: predict anew.")
        of_genes = adata.var["expected_pcc"].rename("expected").rename_axis("gene").reset_index()
        expected += [of_genes.assign(section=section) for section in adata.obs["section"].unique()]
        adata.file.close()
    columns = ["section", "patient", "gene", "pcc"]
    return pd.concat(expected).merge(scores[columns], on=["section", "gene"])[
        ["section", "patient", "gene", "expected", "pcc"]
    ]


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Correlation of expected with true PCC over the genes of each section.

    Args:
        table: of ``expected_and_true``.

    Returns:
        One row a section: section, patient, correlation (NaN with fewer than three genes, or
        where either is constant), mean_expected, mean_pcc.
    """
    rows = []
    for (section, patient), genes in table.dropna(subset=["pcc"]).groupby(
        ["section", "patient"], sort=False, observed=True
    ):
        expected, pcc = genes["expected"].to_numpy(), genes["pcc"].to_numpy()
        varies = len(genes) > 2 and min(np.ptp(expected), np.ptp(pcc)) > 0
        rows.append(
            {
                "section": section,
                "patient": patient,
                "correlation": np.corrcoef(expected, pcc)[0, 1] if varies else np.nan,
                "mean_expected": expected.mean(),
                "mean_pcc": pcc.mean(),
            }
        )
    columns = ["section", "patient", "correlation", "mean_expected", "mean_pcc"]
    return pd.DataFrame(rows, columns=columns)
