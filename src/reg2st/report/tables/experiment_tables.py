"""The tables of experiments: variants of one method, ours beside the published ones."""

from collections.abc import Mapping, Sequence

import pandas as pd

from reg2st.evaluation.aggregate import summarise
from reg2st.report.labels import METHOD_LABELS, setting_label, split_label, variant_label
from reg2st.report.provenance import run_folders
from reg2st.report.shares import share_note, shares
from reg2st.report.writers import (
    COUNTS,
    Table,
    counts,
    intervals,
    number,
    percent,
    signed,
    without_repeats,
)

Curves = Mapping[str, Mapping[str, float]]
"""The value of a setting in each variant, by setting; ``full`` is one of the variants."""


def ablation_values(
    scores: pd.DataFrame,
    variants: Sequence[str],
    method: str,
    published: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row a dataset, split and variant: summary, change from ``full``, published numbers.

    Args:
        scores: tidy scores, of any datasets and splits.
        variants: in the order wanted, after ``full``; those without scores are left out.
        method: whose variants.
        published: columns dataset, method, variant, mean_pcc, median_pcc; of the split section_out.

    Returns:
        The columns of :func:`reg2st.evaluation.aggregate.summarise`, runs, change (of the mean
        PCC), published_mean_pcc, published_median_pcc.
    """
    points = pd.DataFrame({"variant": list(dict.fromkeys(["full", *variants]))})
    values = _values(scores, points, method, published, ["variant"])
    full = values[values["variant"] == "full"].set_index(["dataset", "split"])["mean_pcc"]
    places = pd.MultiIndex.from_frame(values[["dataset", "split"]])
    values["change"] = values["mean_pcc"] - full.reindex(places).to_numpy()
    return values


def ablation(
    scores: pd.DataFrame,
    *,
    variants: Sequence[str],
    method: str = "reg2st",
    published: pd.DataFrame | None = None,
    limits: pd.DataFrame | None = None,
) -> Table:
    """Mean and median PCC of a method's variants, ours beside the published ones.

    Args as in :func:`ablation_values`, and:
        limits: as for :func:`reg2st.report.tables.comparison.comparison`.
    """
    values = ablation_values(scores, variants, method, published)
    values["share"] = shares(values, limits)
    labels = [variant_label(row.variant, row.preset) for row in values.itertuples()]
    shown = _shown(values, {"Variant": labels})
    shown.insert(list(shown).index("Median PCC"), "Change", values["change"].map(signed))
    notes = [
        *_notes(limits),
        "Change: mean PCC less that of the full method on the same split.",
    ]
    if _has_published(values):
        notes.append("Published: as printed in the Reg2ST paper, section out.")
    title = f"Ablation of {METHOD_LABELS.get(method, method)}"
    shown = without_repeats(shown, ["Dataset", "Split"])
    return Table("ablation", title, values, shown, tuple(notes), tuple(shown.columns[:-1]))


def sensitivity_values(
    scores: pd.DataFrame, curves: Curves, method: str, published: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row a dataset, split, setting and value.

    Args:
        scores: tidy scores, of any datasets and splits.
        curves: see :data:`Curves`; variants without scores are left out.
        method: whose settings.
        published: columns dataset, method, parameter, value, mean_pcc, median_pcc; of section_out.

    Returns:
        parameter, value, the columns of :func:`reg2st.evaluation.aggregate.summarise`, runs,
        published_mean_pcc and published_median_pcc.
    """
    points = pd.DataFrame(
        [
            (parameter, variant, value)
            for parameter, values in curves.items()
            for variant, value in sorted(values.items(), key=lambda item: item[1])
        ],
        columns=["parameter", "variant", "value"],
    )
    return _values(scores, points, method, published, ["parameter", "value"])


def sensitivity(
    scores: pd.DataFrame,
    *,
    curves: Curves,
    method: str = "reg2st",
    published: pd.DataFrame | None = None,
    limits: pd.DataFrame | None = None,
) -> Table:
    """Mean and median PCC along each setting, ours beside the published curves.

    Args as in :func:`sensitivity_values`, and:
        limits: as for :func:`reg2st.report.tables.comparison.comparison`.
    """
    values = sensitivity_values(scores, curves, method, published)
    values["share"] = shares(values, limits)
    settings = values["parameter"].map(setting_label)
    shown = _shown(values, {"Setting": settings, "Value": values["value"].map("{:g}".format)})
    notes = _notes(limits)
    if _has_published(values):
        source = "the curves of the Reg2ST paper (to about 0.0005)"
        notes.append(f"Published: read off {source}, section out.")
    presets = sorted(set(values["preset"]) - {"published"})
    notes += [f"Settings other than the one varied: preset {name}." for name in presets]
    title = f"Sensitivity of {METHOD_LABELS.get(method, method)} to its settings"
    shown = without_repeats(shown, ["Dataset", "Split", "Setting"])
    return Table("sensitivity", title, values, shown, tuple(notes), tuple(shown.columns[:-1]))


def _values(
    scores: pd.DataFrame,
    points: pd.DataFrame,
    method: str,
    published: pd.DataFrame | None,
    keys: list[str],
) -> pd.DataFrame:
    """Summary of each point by dataset, split and in the order of points, with published PCC.

    Args:
        scores: tidy scores, of any datasets and splits.
        points: a variant each, and the ``keys`` by which its published PCC is found.
        method: whose variants.
        published: columns dataset, method, ``keys``, mean_pcc and median_pcc, of section_out.
        keys: see above.
    """
    named = (scores["method"] == method) & scores["variant"].isin(points["variant"])
    summary = summarise(scores[named])
    summary["runs"] = run_folders(summary)
    ranks = {
        "dataset_rank": pd.factorize(summary["dataset"])[0],
        "split_rank": summary["split"].ne("section_out"),
    }
    points = points.assign(point_rank=range(len(points)))
    values = summary.assign(**ranks).merge(points, on="variant")
    order = [*ranks, "point_rank"]
    values = values.sort_values(order).drop(columns=order).reset_index(drop=True)
    if published is None:
        return values.assign(published_mean_pcc=float("nan"), published_median_pcc=float("nan"))
    found_by = ["dataset", "method", *keys]
    printed = published[[*found_by, "mean_pcc", "median_pcc"]].rename(
        columns={"mean_pcc": "published_mean_pcc", "median_pcc": "published_median_pcc"}
    )
    printed["split"] = "section_out"
    return values.merge(printed, on=["split", *found_by], how="left")


def _notes(limits: pd.DataFrame | None) -> list[str]:
    notes = ["95 % over patients: bootstrap of whole patients, for three patients or more."]
    if limits is not None:
        notes.append(share_note(limits))
    return notes


def _shown(values: pd.DataFrame, names: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The readable columns that all experiments have, after those that name a point."""
    shown = pd.DataFrame(
        {
            "Dataset": values["dataset"],
            "Split": values["split"].map(split_label),
            **names,
            "Mean PCC": values["mean_pcc"].map(number),
            "95 % over patients": intervals(values, "patient"),
            "Share of limit": values["share"].map(percent),
            "Median PCC": values["median_pcc"].map(number),
            "Published mean": values["published_mean_pcc"].map(number),
            "Published median": values["published_median_pcc"].map(number),
            COUNTS: counts(values, "n_sections", "n_patients", "n_genes", "n_seeds"),
        }
    )
    empty = ["Share of limit"] if values["share"].isna().all() else []
    if not _has_published(values):
        empty += ["Published mean", "Published median"]
    return shown.drop(columns=empty)


def _has_published(values: pd.DataFrame) -> bool:
    return bool(values["published_mean_pcc"].notna().any())
