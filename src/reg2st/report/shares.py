"""Scores as shares of the best that any predictor could reach."""

from collections.abc import Sequence

import pandas as pd


def shares(
    values: pd.DataFrame, limits: pd.DataFrame | None, keys: Sequence[str] = ("dataset", "split")
) -> pd.Series:
    """Each row's mean PCC as a fraction of its first limit; NaN without one.

    Args:
        values: columns ``keys`` and mean_pcc.
        limits: columns ``keys``, limit and mean_pcc, the preferred limit first; None if unknown.
        keys: what a limit holds for.
    """
    if limits is None:
        return pd.Series(float("nan"), index=values.index)
    first = limits.drop_duplicates(list(keys)).set_index(list(keys))["mean_pcc"]
    places = pd.MultiIndex.from_frame(values[list(keys)])
    return values["mean_pcc"] / first.reindex(places).to_numpy()


def share_note(limits: pd.DataFrame, keys: Sequence[str] = ("dataset", "split")) -> str:
    """The sentence that stands below a table with shares; arguments as in :func:`shares`."""
    names = limits.drop_duplicates(list(keys))["limit"].str.replace("_", " ").unique()
    return (
        f"Share of limit: mean PCC divided by the first limit of the same {keys[-1]}, "
        f"{' or '.join(names)}."
    )
