"""Read the files that tables and figures are made of, by kind."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reg2st.evaluation.gene_sets import read_gene_sets
from reg2st.evaluation.limits import read_limits
from reg2st.evaluation.predictions import run_of
from reg2st.evaluation.tidy import read_tidy
from reg2st.report.labels import MethodKey
from reg2st.report.tables.cost import read_run_records

RUN = ("dataset", "split", "method", "variant", "preset", "seed", "fold")
"""The columns that identify a run."""


def read_scores(paths: Iterable[str | os.PathLike]) -> pd.DataFrame:
    """Tidy scores of several datasets."""
    return pd.concat(map(pd.read_parquet, paths), ignore_index=True)


def read_agreement(paths: Iterable[str | os.PathLike]) -> pd.DataFrame:
    """Agreement with labelled regions of several sections."""
    return pd.concat(map(read_tidy, paths), ignore_index=True)


def read_predictions(paths: Iterable[str | os.PathLike]) -> dict[MethodKey, Path]:
    """Files of predictions by method, variant and preset."""
    runs = {path: run_of(path) for path in paths}
    return {
        (run["method"], run["variant"], run["preset"]): Path(path) for path, run in runs.items()
    }


def read_histories(paths: Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Training histories with the columns that identify their runs.

    Args:
        paths: ``run.json`` and ``history.tsv`` of each run, in turn.
    """
    histories = []
    for record, history in zip(paths[::2], paths[1::2], strict=True):
        run = json.loads(Path(record).read_text(encoding="utf-8"))
        histories.append(read_tidy(history).assign(**{name: run[name] for name in RUN}))
    return pd.concat(histories, ignore_index=True)


def _only(paths: Sequence[str]) -> Path:
    (path,) = paths
    return Path(path)


READERS: dict[str, Callable[[Sequence[str]], Any]] = {
    "scores": read_scores,
    "limits": read_limits,
    "gene_sets": read_gene_sets,
    "agreement": read_agreement,
    "records": read_run_records,
    "histories": read_histories,
    "predictions": read_predictions,
    "section_file": _only,
    "labels": _only,
}
"""What is passed to the function that makes a table or a figure, by kind of files."""
