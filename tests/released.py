"""The PCC that the authors of Reg2ST and HGGEP released, as tidy scores."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

FILES = {"reg2st": "reg2st_pcc", "hggep": "hggep_released_pcc"}


def released_pcc(folder: Path, dataset: str, method: str) -> pd.DataFrame:
    """PCC, sections by genes; the authors filled genes without one with the section's mean."""
    return pd.read_csv(folder / f"{FILES[method]}_{dataset}.csv.gz", index_col="section")


def released_scores(
    folder: Path, dataset: str, method: str, patients: Mapping[str, str]
) -> pd.DataFrame:
    """Tidy scores of the full variant, section out; ``patients`` is the patient of each section."""
    tidy = (
        released_pcc(folder, dataset, method)
        .reset_index()
        .melt(id_vars="section", var_name="gene", value_name="pcc")
    )
    not_released = ["spearman", "mse", "n_spots", "n_expressing", "mean_expression"]
    return tidy.assign(
        **dict.fromkeys(not_released, np.nan),
        dataset=dataset,
        target="paper",
        split="section_out",
        method=method,
        variant="full",
        preset="published",
        seed=0,
        fold=tidy["section"],
        patient=tidy["section"].map(patients),
    )
