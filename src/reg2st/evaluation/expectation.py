"""The PCC that a method expects of each gene, beside the PCC reached in the test sections."""

import os

import numpy as np
import pandas as pd

from reg2st.evaluation.correlations import pearson
from reg2st.evaluation.predictions import read_expected_pcc


def expected_and_true(scores: pd.DataFrame, predictions: str | os.PathLike) -> pd.DataFrame:
    """Expected and reached PCC of each gene in the test sections.

    Args:
        scores: tidy scores of the runs that predicted (one dataset, split, method and seed).
        predictions: their file.

    Returns:
        One row a section and gene: section, patient, gene, expected, pcc (NaN where undefined).

    Raises:
        UserError: the file has no expected PCC.
    """
    columns = ["section", "patient", "gene", "pcc"]
    both = read_expected_pcc(predictions).merge(scores[columns], on=["section", "gene"])
    return both[["section", "patient", "gene", "expected", "pcc"]]


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Correlation of expected with true PCC over the genes of each section.

    Args:
        table: rows of ``expected_and_true``.

    Returns:
        One row a section: section, patient, correlation (NaN with fewer than three genes, or
        where either is constant), mean_expected, mean_pcc.
    """
    rows = []
    for (section, patient), genes in table.dropna(subset=["pcc"]).groupby(
        ["section", "patient"], sort=False, observed=True
    ):
        correlation = pearson(genes[["expected"]], genes[["pcc"]])[0]
        rows.append(
            {
                "section": section,
                "patient": patient,
                "correlation": correlation if len(genes) > 2 else np.nan,
                "mean_expected": genes["expected"].mean(),
                "mean_pcc": genes["pcc"].mean(),
            }
        )
    columns = ["section", "patient", "correlation", "mean_expected", "mean_pcc"]
    return pd.DataFrame(rows, columns=columns)
