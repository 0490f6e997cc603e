"""The comparison table: every method's score by dataset and split, with intervals and limits."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from reg2st.evaluation.aggregate import others_in, summarise
from reg2st.evaluation.limits import limits_of, summarise_limits
from reg2st.evaluation.metrics import MSE, PCC, SPEARMAN, Metric
from reg2st.report.labels import (
    LIMIT_LABELS,
    SOURCE_LABELS,
    in_fixed_order,
    method_label,
    split_label,
    target_units,
)
from reg2st.report.provenance import run_folders
from reg2st.report.shares import share_note, shares
from reg2st.report.writers import COUNTS, Table, counts, intervals, number, percent

PRESET_NOTES = {
    "tuned": "settings and the number of epochs chosen in each fold on a training patient that was "
    "held out (a section where there is one patient), in the same time for every method, "
    "`training.tuning_seconds` of the config."
}
OTHER_PRESET = (
    "settings reduced for a demonstration, not the published ones; the numbers say nothing about "
    "the method at full length."
)


def comparison(
    scores: pd.DataFrame,
    *,
    limits: pd.DataFrame | None = None,
    published: Sequence[Mapping] = (),
    metric: Metric = PCC,
) -> Table:
    """Mean and median score by dataset, split, method and variant.

    Args:
        scores: tidy scores, of any datasets and splits.
        limits: rows of :func:`reg2st.evaluation.limits.section_limits` of every tested section.
            The first limit of a dataset and split is what each method's share is of.
        published: rows with dataset, method, source, mean_pcc, median_pcc. Those of the datasets in
            ``scores`` stand below ours if the metric is theirs; they are of the split section_out.
        metric: what the methods are compared by. MSE and those beyond the standard ones have a
            column too.

    Returns:
        ``values`` has the columns of :func:`reg2st.evaluation.aggregate.summarise`, kind
        (method, published, limit or reference), source, share (of the first limit) and runs (folder
        of the runs, or of the limits' files, behind the row).
    """
    ours = summarise(scores, metric).assign(kind="method", source="")
    ours["runs"] = run_folders(ours)
    published = [row for row in published if metric.mean in row]
    rows = [in_fixed_order(pd.concat([ours, _published_rows(published, ours)], ignore_index=True))]
    limits = limits_of(metric, limits)
    if limits is not None:
        limits = summarise_limits(limits, scores)
        rows.append(
            limits.rename(columns={"limit": "method", "definition": "source"}).assign(
                runs="limits/" + limits["dataset"]
            )
        )
    values = pd.concat(rows, ignore_index=True)
    values["share"] = shares(values, limits, metric=metric).where(values["kind"] == "method")
    order = {key: rank for rank, key in enumerate(dict.fromkeys(_places(rows[0])))}
    ranks = pd.Series([order.get(place, len(order)) for place in _places(values)])
    values = values.loc[ranks.sort_values(kind="stable").index].reset_index(drop=True)
    others = [each for each in others_in(scores, metric) if each != SPEARMAN]
    shown = _shown(values, metric, others)
    return Table(
        "comparison",
        metric.heading,
        values,
        shown,
        leading=("Dataset", "Split"),
        notes=_notes(values, limits, metric, others, target_units(scores)),
        brief=tuple(
            name for name in shown if name not in ("95 % over sections", MSE.label, COUNTS)
        ),
    )


def _places(values: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(values["dataset"], values["split"], strict=True))


def _published_rows(published: Sequence[Mapping], ours: pd.DataFrame) -> pd.DataFrame | None:
    measured = set(ours.loc[ours["split"] == "section_out", "dataset"])
    rows = pd.DataFrame([row for row in published if row["dataset"] in measured])
    if rows.empty:
        return None
    return rows.assign(
        method=rows["method"].str.lower(), split="section_out", variant="full", kind="published"
    )


def _shown(values: pd.DataFrame, metric: Metric, others: Sequence[Metric]) -> pd.DataFrame:
    shown = pd.DataFrame(
        {
            "Dataset": values["dataset"],
            "Split": values["split"].map(split_label),
            "Method": [_row_label(row) for row in values.itertuples()],
            f"Mean {metric.label}": values[metric.mean].map(number),
            "95 % over patients": intervals(values, "patient"),
            "Share of limit": values["share"].map(percent),
            f"Median {metric.label}": values[metric.median].map(number),
            "95 % over sections": intervals(values, "section"),
            **{other.label: values[other.mean].map(number) for other in others},
            "Undefined": counts(values, "n_undefined", "n_pairs"),
            COUNTS: counts(values, "n_sections", "n_patients", "n_genes", "n_seeds"),
        }
    )
    if values["share"].isna().all():
        shown = shown.drop(columns="Share of limit")
    return shown


def _row_label(row: tuple) -> str:
    if row.kind in ("limit", "reference"):
        return LIMIT_LABELS[row.method]
    if row.kind == "published":
        return (
            f"{method_label(row.method)}, published ({SOURCE_LABELS.get(row.source, row.source)})"
        )
    return method_label(row.method, row.variant, row.preset)


def _notes(
    values: pd.DataFrame,
    limits: pd.DataFrame | None,
    metric: Metric,
    others: Sequence[Metric],
    target: str,
) -> tuple[str, ...]:
    name = metric.label
    notes = [
        f"{name}: {metric.meaning} of a gene over the spots of a test section. "
        f"Mean {name}: mean over genes, then sections. Median {name}: median over sections of each "
        "gene, then the mean over genes. Seeds are averaged first.",
        "95 % over patients: bootstrap of whole patients, for three patients or more. 95 % over "
        "sections: Student's t over section means, which takes sections of one patient as "
        "independent.",
        f"Undefined: pairs of section and gene without a {name}, since one side is constant; they "
        "are left out, never filled in.",
        *(_meaning(other, target) for other in others),
    ]
    presets = sorted(set(values["preset"].dropna()) - {"published"})
    notes += [f"({preset}): {PRESET_NOTES.get(preset, OTHER_PRESET)}" for preset in presets]
    notes += _off_level(values)
    if limits is not None:
        notes += [
            f"{LIMIT_LABELS[row.limit]}. {row.definition}."
            for row in limits.drop_duplicates("limit").itertuples()
        ]
    if values["share"].notna().any():
        notes.append(share_note(limits, metric=metric))
    if (values["kind"] == "published").any():
        notes.append("Published: as their authors print them, who fill in undefined PCC.")
    return tuple(notes)


def _off_level(values: pd.DataFrame) -> Iterator[str]:
    """Which methods have a larger MSE than the training mean, by dataset and split."""
    if MSE.mean not in values:
        return
    for (dataset, split), rows in values.groupby(["dataset", "split"], sort=False):
        of_mean = rows.loc[rows["method"] == "train_mean", MSE.mean]
        worse = rows[rows[MSE.mean] > of_mean.min()]
        if len(worse):
            names = ", ".join(_row_label(row) for row in worse.itertuples())
            yield (
                f"{dataset}, {split_label(split)}: the MSE of {names} is above that of the "
                "training mean. The level or scale of these predictions is wrong, which a PCC does "
                "not show."
            )


def _meaning(metric: Metric, target: str) -> str:
    """What a column of a further metric holds."""
    of = "raw counts" if metric.observed == "counts" else target
    told = f"{metric.label}: {metric.meaning} of {of}, over genes, then sections."
    return f"{told} {metric.undefined}".rstrip()
