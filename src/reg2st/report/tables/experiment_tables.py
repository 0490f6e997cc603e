"""The tables of experiments: variants of one method, ours beside the published ones."""

from collections.abc import Mapping, Sequence

import pandas as pd

from reg2st.evaluation.aggregate import summarise
from reg2st.evaluation.limits import summarise_limits
from reg2st.evaluation.metrics import PCC, Metric
from reg2st.report.labels import METHOD_LABELS, setting_label, split_label, variant_label
from reg2st.report.provenance import run_folders
from reg2st.report.shares import share_note, shares
from reg2st.report.writers import COUNTS, Table, counts, intervals, number, percent, signed

Curves = Mapping[str, Mapping[str, float]]
"""The value of a setting in each variant, by setting; ``full`` is one of the variants."""


def ablation_values(
    scores: pd.DataFrame,
    variants: Sequence[str],
    method: str,
    published: Sequence[Mapping] = (),
    metric: Metric = PCC,
) -> pd.DataFrame:
    """One row a dataset, split and variant: summary, change from ``full``, published numbers.

    Args:
        scores: tidy scores, of any datasets and splits.
        variants: in the order wanted, after ``full``; those without scores are left out.
        method: whose variants.
        published: rows with dataset, method, variant, mean_pcc, median_pcc; of the split
            section_out.
        metric: which score.

    Returns:
        The columns of :func:`reg2st.evaluation.aggregate.summarise`, runs, change (of the mean),
        and published mean and median.
    """
    points = pd.DataFrame({"variant": list(dict.fromkeys(["full", *variants]))})
    values = _values(scores, points, method, published, ["variant"], metric)
    full = values[values["variant"] == "full"].set_index(["dataset", "split"])[metric.mean]
    places = pd.MultiIndex.from_frame(values[["dataset", "split"]])
    values["change"] = values[metric.mean] - full.reindex(places).to_numpy()
    return values


def ablation(
    scores: pd.DataFrame,
    *,
    variants: Sequence[str],
    method: str,
    published: Sequence[Mapping] = (),
    limits: pd.DataFrame | None = None,
    metric: Metric = PCC,
) -> Table:
    """Mean and median score of a method's variants, ours beside the published ones.

    Args as in :func:`ablation_values`, and:
        limits: as for :func:`reg2st.report.tables.comparison.comparison`.
    """
    limits = None if limits is None else summarise_limits(limits, scores)
    values = ablation_values(scores, variants, method, published, metric)
    values["share"] = shares(values, limits, metric=metric)
    labels = [variant_label(row.variant, row.preset) for row in values.itertuples()]
    shown = _shown(values, {"Variant": labels}, metric)
    shown.insert(
        list(shown).index(f"Median {metric.label}"), "Change", values["change"].map(signed)
    )
    notes = [
        *_notes(limits, metric),
        f"Change: mean {metric.label} less that of the full method on the same split.",
    ]
    if _has_published(values, metric):
        notes.append(f"Published: as printed in the Reg2ST paper, {split_label('section_out')}.")
    title = f"Ablation of {METHOD_LABELS.get(method, method)}"
    leading, brief = ("Dataset", "Split"), tuple(shown.columns[:-1])
    return Table("ablation", title, values, shown, leading, tuple(notes), brief)


def sensitivity_values(
    scores: pd.DataFrame,
    curves: Curves,
    method: str,
    published: Sequence[Mapping] = (),
    metric: Metric = PCC,
) -> pd.DataFrame:
    """One row a dataset, split, setting and value.

    Args:
        scores: tidy scores, of any datasets and splits.
        curves: see :data:`Curves`; variants without scores are left out.
        method: whose settings.
        published: rows with dataset, method, parameter, value, mean_pcc, median_pcc; of the split
            section_out.
        metric: which score.

    Returns:
        parameter, value, the columns of :func:`reg2st.evaluation.aggregate.summarise`, runs, and
        published mean and median.
    """
    points = pd.DataFrame(
        [
            (parameter, variant, value)
            for parameter, values in curves.items()
            for variant, value in sorted(values.items(), key=lambda item: item[1])
        ],
        columns=["parameter", "variant", "value"],
    )
    return _values(scores, points, method, published, ["parameter", "value"], metric)


def sensitivity(
    scores: pd.DataFrame,
    *,
    curves: Curves,
    method: str,
    published: Sequence[Mapping] = (),
    limits: pd.DataFrame | None = None,
    metric: Metric = PCC,
) -> Table:
    """Mean and median score along each setting, ours beside the published curves.

    Args as in :func:`sensitivity_values`, and:
        limits: as for :func:`reg2st.report.tables.comparison.comparison`.
    """
    limits = None if limits is None else summarise_limits(limits, scores)
    values = sensitivity_values(scores, curves, method, published, metric)
    values["share"] = shares(values, limits, metric=metric)
    settings = values["parameter"].map(setting_label)
    points = {"Setting": settings, "Value": values["value"].map("{:g}".format)}
    shown = _shown(values, points, metric)
    notes = _notes(limits, metric)
    if _has_published(values, metric):
        source = "the curves of the Reg2ST paper (to about 0.0005)"
        notes.append(f"Published: read off {source}, {split_label('section_out')}.")
    presets = sorted(set(values["preset"]) - {"published"})
    notes += [f"Settings other than the one varied: preset {name}." for name in presets]
    title = f"Sensitivity of {METHOD_LABELS.get(method, method)} to its settings"
    leading, brief = ("Dataset", "Split", "Setting"), tuple(shown.columns[:-1])
    return Table("sensitivity", title, values, shown, leading, tuple(notes), brief)


def _values(
    scores: pd.DataFrame,
    points: pd.DataFrame,
    method: str,
    published: Sequence[Mapping],
    keys: list[str],
    metric: Metric,
) -> pd.DataFrame:
    """Summary of each point by dataset, split and in the order of points, with published numbers.

    Args:
        scores: tidy scores, of any datasets and splits.
        points: a variant each, and the ``keys`` by which its published numbers are found.
        method: whose variants.
        published: rows with dataset, method, ``keys``, mean_pcc and median_pcc, of section_out.
        keys: see above.
        metric: which score.
    """
    named = (scores["method"] == method) & scores["variant"].isin(points["variant"])
    summary = summarise(scores[named], metric)
    summary["runs"] = run_folders(summary)
    ranks = {
        "dataset_rank": pd.factorize(summary["dataset"])[0],
        "split_rank": summary["split"].ne("section_out"),
    }
    points = points.assign(point_rank=range(len(points)))
    values = summary.assign(**ranks).merge(points, on="variant")
    order = [*ranks, "point_rank"]
    values = values.sort_values(order).drop(columns=order).reset_index(drop=True)
    found_by = ["dataset", "method", *keys]
    averages = [metric.mean, metric.median]
    printed = pd.DataFrame(published, columns=[*found_by, *averages])
    printed = printed.rename(columns={name: f"published_{name}" for name in averages})
    if printed.empty:
        return values.assign(**{f"published_{name}": float("nan") for name in averages})
    return values.merge(printed.assign(split="section_out"), on=["split", *found_by], how="left")


def _notes(limits: pd.DataFrame | None, metric: Metric) -> list[str]:
    notes = ["95 % over patients: bootstrap of whole patients, for three patients or more."]
    if limits is not None:
        notes.append(share_note(limits, metric=metric))
    return notes


def _shown(
    values: pd.DataFrame, names: Mapping[str, Sequence[str]], metric: Metric
) -> pd.DataFrame:
    """The readable columns that all experiments have, after those that name a point."""
    shown = pd.DataFrame(
        {
            "Dataset": values["dataset"],
            "Split": values["split"].map(split_label),
            **names,
            f"Mean {metric.label}": values[metric.mean].map(number),
            "95 % over patients": intervals(values, "patient"),
            "Share of limit": values["share"].map(percent),
            f"Median {metric.label}": values[metric.median].map(number),
            "Published mean": values[f"published_{metric.mean}"].map(number),
            "Published median": values[f"published_{metric.median}"].map(number),
            COUNTS: counts(values, "n_sections", "n_patients", "n_genes", "n_seeds"),
        }
    )
    empty = ["Share of limit"] if values["share"].isna().all() else []
    if not _has_published(values, metric):
        empty += ["Published mean", "Published median"]
    return shown.drop(columns=empty)


def _has_published(values: pd.DataFrame, metric: Metric) -> bool:
    return bool(values[f"published_{metric.mean}"].notna().any())
