"""Scores as shares of the best that any predictor could reach."""

from collections.abc import Sequence

import pandas as pd

from reg2st.evaluation.metrics import PCC, Metric
from reg2st.report.labels import LIMIT_LABELS


def shares(
    values: pd.DataFrame,
    limits: pd.DataFrame | None,
    keys: Sequence[str] = ("dataset", "split"),
    metric: Metric = PCC,
) -> pd.Series:
    """Each row's mean as a fraction of its first limit; NaN without one.

    Args:
        values: columns ``keys`` and the metric's mean.
        limits: columns ``keys``, limit and the metric's mean, the preferred limit first; None if
            there are none.
        keys: what a limit holds for.
        metric: whose mean. Limits of other metrics are none.
    """
    if limits is None or metric.mean not in limits:
        return pd.Series(float("nan"), index=values.index)
    first = limits.drop_duplicates(list(keys)).set_index(list(keys))[metric.mean]
    places = pd.MultiIndex.from_frame(values[list(keys)])
    return values[metric.mean] / first.reindex(places).to_numpy()


def share_note(
    limits: pd.DataFrame, keys: Sequence[str] = ("dataset", "split"), metric: Metric = PCC
) -> str:
    """The sentence that stands below a table with shares; arguments as in :func:`shares`."""
    names = limits.drop_duplicates(list(keys))["limit"].unique()
    labels = [LIMIT_LABELS[name].removeprefix("Limit: ") for name in names]
    return (
        f"Share of limit: mean {metric.label} divided by the first limit of the same {keys[-1]}, "
        f"{' or '.join(labels)}."
    )
