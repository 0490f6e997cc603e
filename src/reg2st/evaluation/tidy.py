"""Read tidy tables that jobs wrote."""

import os

import pandas as pd

NAMES = (
    *("dataset", "split", "method", "variant", "preset", "fold", "target"),
    *("section", "patient", "gene", "gene_set", "limit"),
)
"""Columns of names: text, whatever it looks like (``NA``, ``001``, ``1e5``)."""


def read_tidy(path: str | os.PathLike) -> pd.DataFrame:
    """A table of names and numbers, from TSV; an empty field is a number that is undefined."""
    columns = pd.read_csv(path, sep="\t", nrows=0).columns
    return pd.read_csv(
        path,
        sep="\t",
        dtype={name: str for name in columns if name in NAMES},
        keep_default_na=False,
        na_values={name: [""] for name in columns if name not in NAMES},
    )
