"""The comparison table: every method's PCC by dataset and split, with intervals and limits."""

from collections.abc import Collection

import pandas as pd

from reg2st.evaluation.aggregate import summarise
from reg2st.report.labels import SOURCE_LABELS, in_fixed_order, method_label, split_label
from reg2st.report.provenance import run_folders
from reg2st.report.shares import share_note, shares
from reg2st.report.writers import (
    COUNTS,
    Table,
    counts,
    intervals,
    number,
    percent,
    without_repeats,
)

TITLE = "Correlation of predicted with observed expression"
BRIEF = (
    "Dataset",
    "Split",
    "Method",
    "Mean PCC",
    "95 % over patients",
    "Share of limit",
    "Median PCC",
    "Undefined",
)


def comparison(
    scores: pd.DataFrame,
    *,
    variants: Collection[str] = ("full",),
    limits: pd.DataFrame | None = None,
    published: pd.DataFrame | None = None,
) -> Table:
    """Mean and median PCC by dataset, split and method.

    Args:
        scores: tidy scores, of any datasets and splits.
        variants: variants that have a row of their own.
        limits: what a predictor could reach; columns dataset, split, limit (its name), mean_pcc,
            definition (a sentence). The first limit of a dataset and split is what each method's
            share is of.
        published: columns dataset, method, source, mean_pcc, median_pcc. Rows of the datasets in
            ``scores`` stand below ours; they are of the split section_out.

    Returns:
        ``values`` has the columns of :func:`reg2st.evaluation.aggregate.summarise`, kind
        (method, published or limit), source, share (of the first limit) and runs (folder of the
        runs, or of the limits' files, behind the row).
    """
    chosen = scores[scores["variant"].isin(variants)]
    ours = summarise(chosen).assign(kind="method", source="")
    ours["runs"] = run_folders(ours)
    rows = [in_fixed_order(pd.concat([ours, _published_rows(published, ours)], ignore_index=True))]
    if limits is not None:
        rows.append(
            limits.rename(columns={"limit": "method", "definition": "source"}).assign(
                kind="limit", runs="limits/" + limits["dataset"]
            )
        )
    values = pd.concat(rows, ignore_index=True)
    values["share"] = shares(values, limits).where(values["kind"] == "method")
    order = {key: rank for rank, key in enumerate(dict.fromkeys(_places(rows[0])))}
    ranks = pd.Series([order.get(place, len(order)) for place in _places(values)])
    values = values.loc[ranks.sort_values(kind="stable").index].reset_index(drop=True)
    return Table("comparison", TITLE, values, _shown(values), _notes(values, limits), BRIEF)


def _places(values: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(values["dataset"], values["split"], strict=True))


def _published_rows(published: pd.DataFrame | None, ours: pd.DataFrame) -> pd.DataFrame | None:
    if published is None or not (ours["split"] == "section_out").any():
        return None
    measured = ours.loc[ours["split"] == "section_out", "dataset"]
    rows = published[published["dataset"].isin(measured)]
    return rows.assign(
        method=rows["method"].str.lower(), split="section_out", variant="full", kind="published"
    )


def _shown(values: pd.DataFrame) -> pd.DataFrame:
    shown = pd.DataFrame(
        {
            "Dataset": values["dataset"],
            "Split": values["split"].map(split_label),
            "Method": [_row_label(row) for row in values.itertuples()],
            "Mean PCC": values["mean_pcc"].map(number),
            "95 % over patients": intervals(values, "patient"),
            "Share of limit": values["share"].map(percent),
            "Median PCC": values["median_pcc"].map(number),
            "95 % over sections": intervals(values, "section"),
            "MSE": values["mean_mse"].map(number),
            "Undefined": counts(values, "n_undefined", "n_pairs"),
            COUNTS: counts(values, "n_sections", "n_patients", "n_genes", "n_seeds"),
        }
    )
    if values["share"].isna().all():
        shown = shown.drop(columns="Share of limit")
    return without_repeats(shown, ["Dataset", "Split"])


def _row_label(row: tuple) -> str:
    if row.kind == "limit":
        return f"Limit: {row.method.replace('_', ' ')}"
    if row.kind == "published":
        return (
            f"{method_label(row.method)}, published ({SOURCE_LABELS.get(row.source, row.source)})"
        )
    return method_label(row.method, row.variant, row.preset)


def _notes(values: pd.DataFrame, limits: pd.DataFrame | None) -> tuple[str, ...]:
    notes = [
        "PCC: Pearson correlation per gene over the spots of a test section. Mean PCC: mean over "
        "genes, then sections. Median PCC: median over sections per gene, then the mean over "
        "genes. Seeds are averaged first.",
        "95 % over patients: bootstrap of whole patients, for three patients or more. 95 % over "
        "sections: Student's t over section means, which takes sections of one patient as "
        "independent.",
        "Undefined: pairs of section and gene without a PCC, since one side is constant; they are "
        "left out, never filled in.",
        "MSE: mean squared error of log10(1 + 1e4 c / sum c), over genes, then sections.",
    ]
    presets = sorted(set(values["preset"].dropna()) - {"published"})
    for preset in presets:
        notes.append(
            f"({preset}): settings reduced for a demonstration, not the published ones; the "
            "numbers say nothing about the method at full length."
        )
    if limits is not None:
        notes += [
            f"Limit, {row.limit.replace('_', ' ')}: {row.definition.rstrip('.')}."
            for row in limits.drop_duplicates("limit").itertuples()
        ]
    if values["share"].notna().any():
        notes.append(share_note(limits))
    if (values["kind"] == "published").any():
        notes.append("Published: as printed by their authors, who fill undefined PCC in.")
    return tuple(notes)
