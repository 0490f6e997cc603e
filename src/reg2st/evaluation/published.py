"""Numbers that others published, in the shapes of our own tables.

``folder`` is the project's resources/published everywhere; its README names the sources.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.base.names import closest

ARRAYS = {"reg2st": "reg2st_pcc", "hggep": "hggep_released_pcc"}
"""Methods with a released PCC for every section and gene, and how their files begin."""


def published_results(folder: str | Path) -> pd.DataFrame:
    """Mean and median PCC by dataset, method and source."""
    return pd.read_csv(Path(folder) / "results.tsv", sep="\t")


def published_ablation(folder: str | Path) -> pd.DataFrame:
    """Mean and median PCC of Reg2ST's variants by dataset and variant."""
    return pd.read_csv(Path(folder) / "ablation.tsv", sep="\t")


def published_sensitivity(folder: str | Path) -> pd.DataFrame:
    """Mean and median PCC of Reg2ST by dataset, parameter and value, read off the plots."""
    return pd.read_csv(Path(folder) / "sensitivity.tsv", sep="\t")


def published_pcc(folder: str | Path, dataset: str, method: str) -> pd.DataFrame:
    """Released PCC of a method on a dataset, sections by genes.

    Its authors filled genes without a PCC with the section's mean.

    Raises:
        UserError: nothing was released for that method and dataset.
    """
    if method not in ARRAYS:
        raise UserError(f"No PCC were released for method '{method}'{closest(method, ARRAYS)}.")
    path = Path(folder) / f"{ARRAYS[method]}_{dataset}.csv.gz"
    if not path.is_file():
        raise UserError(f"No PCC were released for method '{method}' on dataset '{dataset}'.")
    return pd.read_csv(path, index_col="section")


def published_scores(
    folder: str | Path, dataset: str, method: str, patients: Mapping[str, str]
) -> pd.DataFrame:
    """Released PCC as tidy scores (split section_out, variant full, preset published).

    Args:
        folder: of the published numbers.
        dataset: "her2st" or "cscc".
        method: one of ``ARRAYS``.
        patients: the patient of each section.

    Raises:
        UserError: nothing was released for that method and dataset, or a section's patient
            is not given.
    """
    pcc = published_pcc(folder, dataset, method)
    unknown = [section for section in pcc.index if section not in patients]
    if unknown:
        raise UserError(
            f"The released PCC of '{method}' on '{dataset}' hold section '{unknown[0]}', which "
            "the sample sheet lacks; add it there."
        )
    tidy = pcc.reset_index().melt(id_vars="section", var_name="gene", value_name="pcc")
    not_released = ["spearman", "mse", "n_spots", "n_expressing", "mean_expression"]
    return tidy.assign(
        **dict.fromkeys(not_released, np.nan),
        dataset=dataset,
        split="section_out",
        method=method,
        variant="full",
        preset="published",
        seed=0,
        fold=tidy["section"],
        patient=tidy["section"].map(patients),
    )
