"""The table of every section: mean score by method."""

import pandas as pd

from reg2st.evaluation.aggregate import per_section
from reg2st.evaluation.limits import limits_by_section, limits_of
from reg2st.evaluation.metrics import PCC, Metric
from reg2st.report.labels import LIMIT_LABELS, in_fixed_order, method_labels, split_label
from reg2st.report.provenance import run_folders
from reg2st.report.shares import share_note, shares
from reg2st.report.writers import Table, number, percent, whole


def section_table(
    scores: pd.DataFrame,
    *,
    limits: pd.DataFrame | None = None,
    metric: Metric = PCC,
) -> Table:
    """Mean over the genes of each section, a column a method and variant.

    Args:
        scores: tidy scores, of any datasets and splits.
        limits: rows of :func:`reg2st.evaluation.limits.section_limits` of every tested section.
            Behind each score stands its share of the section's first limit.
        metric: which score.

    Returns:
        ``values`` has a row a method and section, with the columns of
        :func:`reg2st.evaluation.aggregate.per_section`, share (of the first limit) and runs; and
        the limits' rows, with their file in the place of the runs.
    """
    limits = limits_of(metric, limits)
    limits = None if limits is None else limits_by_section(limits)
    values = per_section(scores, metric)
    values["runs"] = run_folders(values)
    values["share"] = shares(values, limits, ("dataset", "section"), metric)
    values["label"] = method_labels(values)
    labels = list(dict.fromkeys(in_fixed_order(values)["label"]))
    sections = scores.drop_duplicates(["dataset", "split", "section"])
    shown = pd.DataFrame(
        {
            "Dataset": sections["dataset"],
            "Split": sections["split"].map(split_label),
            "Section": sections["section"],
            "Patient": sections["patient"],
            "Spots": sections["n_spots"].map(whole),
        }
    )
    places = pd.MultiIndex.from_frame(sections[["dataset", "split", "section"]])
    for label in labels:
        mine = values[values["label"] == label].set_index(list(places.names)).reindex(places)
        shown[label] = list(map(_with_share, mine[metric.mean], mine["share"]))
    title = f"Mean {metric.label} of every section"
    notes = [
        f"Mean {metric.label} over the genes of a section, seeds averaged; undefined genes are "
        "left out."
    ]
    if limits is not None:
        notes.append("In brackets: " + share_note(limits, ("dataset", "section"), metric))
        for name, rows in limits.groupby("limit", sort=False):
            reachable = rows.set_index(["dataset", "section"])[metric.mean]
            shown[LIMIT_LABELS[name]] = (
                reachable.reindex(places.droplevel("split")).map(number).to_numpy()
            )
        files = "limits/" + limits["dataset"] + "/" + limits["section"] + ".tsv"
        limits = limits.rename(columns={"limit": "label"}).assign(runs=files)
        values = pd.concat([values, limits], ignore_index=True)
    return Table("per_section", title, values, shown, ("Dataset", "Split"), tuple(notes))


def _with_share(score: float, share: float) -> str:
    return number(score) if pd.isna(share) else f"{number(score)} ({percent(share)})"
