"""The sensitivity table: a method's PCC along each of its settings."""

from collections.abc import Mapping

import pandas as pd

from reg2st.evaluation.aggregate import summarise
from reg2st.tables.comparison import COUNTS, counts, intervals, run_folders
from reg2st.tables.labels import METHOD_LABELS, split_label
from reg2st.tables.writers import Table, number, without_repeats

Curves = Mapping[str, Mapping[str, float]]
"""The value of a setting in each variant, by setting; ``full`` is one of the variants."""


def sensitivity_values(
    scores: pd.DataFrame, curves: Curves, method: str, published: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row a dataset, split, setting and value.

    Args:
        scores: tidy scores, of any datasets and splits.
        curves: see :data:`Curves`; variants without scores are left out.
        method: whose settings.
        published: columns dataset, parameter, value, mean_pcc, median_pcc; of section_out.

    Returns:
        parameter, value, the columns of :func:`reg2st.evaluation.aggregate.summarise`, runs,
        published_mean_pcc and published_median_pcc.
    """
    summary = summarise(scores[scores["method"] == method])
    summary["runs"] = run_folders(summary)
    points = pd.DataFrame(
        [
            (parameter, variant, value)
            for parameter, values in curves.items()
            for variant, value in values.items()
        ],
        columns=["parameter", "variant", "value"],
    )
    values = summary.merge(points, on="variant")
    if published is None:
        values = values.assign(published_mean_pcc=float("nan"), published_median_pcc=float("nan"))
    else:
        printed = published.rename(
            columns={"mean_pcc": "published_mean_pcc", "median_pcc": "published_median_pcc"}
        )
        keys = ["dataset", "split", "parameter", "value"]
        values = values.merge(printed.assign(split="section_out"), on=keys, how="left")
    ranks = pd.DataFrame(
        {
            "dataset": pd.factorize(values["dataset"])[0],
            "split": values["split"].ne("section_out"),
            "parameter": values["parameter"].map({name: n for n, name in enumerate(curves)}),
            "value": values["value"],
        }
    )
    return values.iloc[ranks.sort_values(list(ranks)).index].reset_index(drop=True)


def sensitivity(
    scores: pd.DataFrame,
    *,
    curves: Curves,
    method: str = "reg2st",
    published: pd.DataFrame | None = None,
) -> Table:
    """Mean and median PCC along each setting, ours beside the published curves.

    Args as in :func:`sensitivity_values`.
    """
    values = sensitivity_values(scores, curves, method, published)
    shown = pd.DataFrame(
        {
            "Dataset": values["dataset"],
            "Split": values["split"].map(split_label),
            "Setting": values["parameter"].str.replace("_", " "),
            "Value": values["value"].map("{:g}".format),
            "Mean PCC": values["mean_pcc"].map(number),
            "95 % over patients": intervals(values, "patient"),
            "Median PCC": values["median_pcc"].map(number),
            "Published mean": values["published_mean_pcc"].map(number),
            "Published median": values["published_median_pcc"].map(number),
            COUNTS: counts(values, "n_sections", "n_patients", "n_genes", "n_seeds"),
        }
    )
    notes = [
        "95 % over patients: bootstrap of whole patients, for three patients or more.",
        "Published: read off the curves of the Reg2ST paper (to about 0.0005), section out.",
    ]
    presets = sorted(set(values["preset"]) - {"published"})
    notes += [f"Settings other than the one varied: preset {name}." for name in presets]
    title = f"Sensitivity of {METHOD_LABELS.get(method, method)} to its settings"
    shown = without_repeats(shown, ["Dataset", "Split", "Setting"])
    return Table("sensitivity", title, values, shown, tuple(notes), tuple(shown.columns[:-1]))
