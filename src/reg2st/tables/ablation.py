"""The ablation table: what each part of a method is worth."""

from collections.abc import Sequence

import pandas as pd

from reg2st.evaluation.aggregate import summarise
from reg2st.tables.comparison import COUNTS, counts, intervals, run_folders
from reg2st.tables.labels import METHOD_LABELS, split_label, variant_label
from reg2st.tables.writers import Table, number, signed, without_repeats


def ablation_values(
    scores: pd.DataFrame,
    variants: Sequence[str],
    method: str,
    published: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row a dataset, split and variant: summary, change from ``full``, published numbers.

    Args:
        scores: tidy scores, of any datasets and splits.
        variants: in the order wanted; those without scores are left out.
        method: whose variants.
        published: columns dataset, variant, mean_pcc, median_pcc; of the split section_out.

    Returns:
        The columns of :func:`reg2st.evaluation.aggregate.summarise`, runs, change (of the mean
        PCC), published_mean_pcc, published_median_pcc.
    """
    order = {name: rank for rank, name in enumerate(dict.fromkeys(["full", *variants]))}
    mine = scores[(scores["method"] == method) & scores["variant"].isin(order)]
    values = summarise(mine)
    values["runs"] = run_folders(values)
    values = _by_rank(values, order)
    full = values[values["variant"] == "full"].set_index(["dataset", "split"])["mean_pcc"]
    places = pd.MultiIndex.from_frame(values[["dataset", "split"]])
    values["change"] = values["mean_pcc"] - full.reindex(places).to_numpy()
    return _with_published(values, published, ["dataset", "variant"])


def ablation(
    scores: pd.DataFrame,
    *,
    variants: Sequence[str],
    method: str = "reg2st",
    published: pd.DataFrame | None = None,
) -> Table:
    """Mean and median PCC of a method's variants, ours beside the published ones.

    Args as in :func:`ablation_values`.
    """
    values = ablation_values(scores, variants, method, published)
    shown = pd.DataFrame(
        {
            "Dataset": values["dataset"],
            "Split": values["split"].map(split_label),
            "Variant": [variant_label(row.variant, row.preset) for row in values.itertuples()],
            "Mean PCC": values["mean_pcc"].map(number),
            "95 % over patients": intervals(values, "patient"),
            "Change": values["change"].map(signed),
            "Median PCC": values["median_pcc"].map(number),
            "Published mean": values["published_mean_pcc"].map(number),
            "Published median": values["published_median_pcc"].map(number),
            COUNTS: counts(values, "n_sections", "n_patients", "n_genes", "n_seeds"),
        }
    )
    notes = (
        "95 % over patients: bootstrap of whole patients, for three patients or more.",
        "Change: mean PCC less that of the full method on the same split.",
        "Published: as printed in the Reg2ST paper, section out.",
    )
    title = f"Ablation of {METHOD_LABELS.get(method, method)}"
    shown = without_repeats(shown, ["Dataset", "Split"])
    return Table("ablation", title, values, shown, notes, tuple(shown.columns[:-1]))


def _by_rank(values: pd.DataFrame, order: dict[str, int]) -> pd.DataFrame:
    """Rows by dataset and split as they come, then by the order of variants."""
    ranks = pd.DataFrame(
        {
            "dataset": pd.factorize(values["dataset"])[0],
            "split": -values["split"].eq("section_out").astype(int),
            "variant": values["variant"].map(order),
        }
    )
    return values.iloc[ranks.sort_values(list(ranks)).index].reset_index(drop=True)


def _with_published(
    values: pd.DataFrame, published: pd.DataFrame | None, keys: list[str]
) -> pd.DataFrame:
    if published is None:
        return values.assign(published_mean_pcc=float("nan"), published_median_pcc=float("nan"))
    printed = published[[*keys, "mean_pcc", "median_pcc"]].rename(
        columns={"mean_pcc": "published_mean_pcc", "median_pcc": "published_median_pcc"}
    )
    return values.merge(printed.assign(split="section_out"), on=[*keys, "split"], how="left")
