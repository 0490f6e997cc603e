"""Expected against reached PCC of each gene: whether a method knows which genes it can predict."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reg2st.evaluation.expectation import agreement, expected_and_true
from reg2st.report.labels import MethodKey, counted, method_label, split_label
from reg2st.report.style import (
    DARK,
    GREY,
    OURS,
    PAGE_IN,
    PUBLISHED,
    NothingToShow,
    new_figure,
    styled,
    wrapped,
)

PATIENT_CHARACTERS = 14


@styled
def expected_pcc(
    scores: pd.DataFrame,
    predictions: Mapping[MethodKey, str | os.PathLike],
    *,
    split: str,
    method: str,
) -> Figure:
    """Each gene's expected PCC against the one reached (left), and how well they agree (right).

    Left, a dot a gene and section. Right, a dot a section: the Pearson correlation over its
    genes. Genes are not averaged over sections: a section that is tested in one fold is trained on
    in the others, and means over folds would agree for that reason alone.

    Args:
        scores: tidy scores of one dataset.
        predictions: file of the method's predictions with one seed.
        split: the split to draw.
        method: the method, as it is configured.

    Raises:
        NothingToShow: the method has no PCC.
    """
    name = f"{scores['dataset'].iloc[0]}, {split_label(split)}: {method_label(method)}"
    (path,) = predictions.values()
    of_split = (scores["split"] == split) & (scores["variant"] == "full")
    mine = scores[of_split & (scores["method"] == method)]
    table = expected_and_true(mine[mine["seed"] == mine["seed"].min()], path)
    known = table.dropna(subset=["pcc"])
    if known.empty:
        raise NothingToShow(f"{name} has no PCC for any gene.")
    sections = agreement(table)
    figure = new_figure(PAGE_IN, 2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    left.scatter(
        known["expected"], known["pcc"], s=3, color=OURS, alpha=0.3, linewidth=0, rasterized=True
    )
    ends = known["expected"].min(), known["expected"].max()
    left.plot(ends, ends, color=GREY, linewidth=0.8)
    left.set_xlabel("Expected PCC of a gene")
    left.set_ylabel("PCC reached in a test section")
    genes = counted(known["gene"].nunique(), "gene")
    left.set_title(f"{genes} in {counted(len(sections), 'section')}")

    patients = list(dict.fromkeys(sections["patient"]))
    place = sections["patient"].map({patient: row for row, patient in enumerate(patients)})
    right.plot(sections["correlation"], place, "o", color=PUBLISHED, alpha=0.8)
    right.set_yticks(range(len(patients)), [wrapped(str(p), PATIENT_CHARACTERS) for p in patients])
    right.set_ylim(len(patients) - 0.5, -0.5)
    right.set_xlim(-1.02, 1.02)
    right.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    right.set_xlabel("Correlation over the genes of a section")
    right.set_ylabel("Patient")
    mean = sections["correlation"].mean()
    if np.isfinite(mean):
        right.axvline(mean, color=DARK, linewidth=0.8, linestyle=":")
        right.set_title(f"Mean correlation {mean:.2f}")
    figure.suptitle(name, x=0.01, ha="left")
    return figure
