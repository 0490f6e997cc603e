"""Expected against true PCC of each gene: whether a method knows which genes it can predict."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reg2st.evaluation.expectation import agreement
from reg2st.report.labels import method_label, split_label
from reg2st.report.style import DARK, GREY, OURS, PAGE_IN, PUBLISHED, new_figure, styled, wrapped

PATIENT_CHARACTERS = 14


@styled
def expected_pcc(table: pd.DataFrame, *, dataset: str, split: str, method: str) -> Figure:
    """Each gene's expected PCC against the one reached (left), and how well they agree (right).

    Left, a dot a gene and section. Right, a dot a section: the Pearson correlation over its
    genes. Genes are not averaged over sections: in another fold a section teaches what it is
    tested by here, and means over folds would agree by that alone.

    Args:
        table: of ``evaluation.expectation.expected_and_true``.
        dataset: for the title.
        split: the split that it is of.
        method: the method that expected.
    """
    known = table.dropna(subset=["pcc"])
    sections = agreement(table)
    figure = new_figure(PAGE_IN, 2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    left.scatter(
        known["expected"], known["pcc"], s=3, color=OURS, alpha=0.3, linewidth=0, rasterized=True
    )
    if len(known):
        ends = known["expected"].min(), known["expected"].max()
        left.plot(ends, ends, color=GREY, linewidth=0.8)
    left.set_xlabel("Expected PCC of a gene")
    left.set_ylabel("PCC reached in a test section")
    left.set_title(f"{known['gene'].nunique()} genes in {len(sections)} sections")

    patients = list(dict.fromkeys(sections["patient"]))
    place = sections["patient"].map({patient: row for row, patient in enumerate(patients)})
    right.plot(sections["correlation"], place, "o", color=PUBLISHED, alpha=0.8)
    right.set_yticks(range(len(patients)), [wrapped(str(p), PATIENT_CHARACTERS) for p in patients])
    right.set_ylim(max(len(patients), 1) - 0.5, -0.5)
    right.set_xlim(-1.02, 1.02)
    right.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    right.set_xlabel("Correlation over the genes of a section")
    right.set_ylabel("Patient")
    mean = sections["correlation"].mean()
    if np.isfinite(mean):
        right.axvline(mean, color=DARK, linewidth=0.8, linestyle=":")
        right.set_title(f"Mean correlation {mean:.2f}")
    figure.suptitle(f"{dataset}, {split_label(split)}: {method_label(method)}", x=0.01, ha="left")
    return figure
