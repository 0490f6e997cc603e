"""The table of every section: mean PCC by method."""

from collections.abc import Collection

import pandas as pd

from reg2st.evaluation.aggregate import per_section
from reg2st.report.labels import in_fixed_order, method_labels, split_label
from reg2st.report.provenance import run_folders
from reg2st.report.shares import share_note, shares
from reg2st.report.writers import Table, number, percent, whole, without_repeats


def section_table(
    scores: pd.DataFrame,
    *,
    variants: Collection[str] = ("full",),
    limits: pd.DataFrame | None = None,
) -> Table:
    """Mean PCC over the genes of each section, a column a method.

    Args:
        scores: tidy scores, of any datasets and splits.
        variants: variants that have a column of their own.
        limits: columns dataset, section, limit (its name), mean_pcc: what a predictor could
            reach on that section. Behind each PCC stands its share of the section's first limit.

    Returns:
        ``values`` has a row a method and section, with the columns of
        :func:`reg2st.evaluation.aggregate.per_section`, share (of the first limit) and runs; and
        the limits' rows, with their file in the place of the runs.
    """
    chosen = scores[scores["variant"].isin(variants)]
    values = per_section(chosen)
    values["runs"] = run_folders(values)
    values["share"] = shares(values, limits, ("dataset", "section"))
    values["label"] = method_labels(values)
    labels = list(dict.fromkeys(in_fixed_order(values)["label"]))
    sections = chosen.drop_duplicates(["dataset", "split", "section"])
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
        shown[label] = list(map(_with_share, mine["mean_pcc"], mine["share"]))
    notes = ["Mean PCC over the genes of a section, seeds averaged; undefined genes left out."]
    if limits is not None:
        notes.append("In brackets: " + share_note(limits, ("dataset", "section")))
        for name, rows in limits.groupby("limit", sort=False):
            reachable = rows.set_index(["dataset", "section"])["mean_pcc"]
            shown[f"Limit: {name.replace('_', ' ')}"] = (
                reachable.reindex(places.droplevel("split")).map(number).to_numpy()
            )
        files = "limits/" + limits["dataset"] + "/" + limits["section"] + ".tsv"
        limits = limits.rename(columns={"limit": "label"}).assign(runs=files)
        values = pd.concat([values, limits], ignore_index=True)
    shown = without_repeats(shown, ["Dataset", "Split"])
    return Table("per_section", "Mean PCC of every section", values, shown, tuple(notes))


def _with_share(pcc: float, share: float) -> str:
    return number(pcc) if pd.isna(share) else f"{number(pcc)} ({percent(share)})"
