"""The cost table: parameters, seconds and memory of each method, as its runs recorded them."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from reg2st.base.failures import FAILED
from reg2st.report.labels import in_fixed_order, method_labels, split_label
from reg2st.report.provenance import run_folders
from reg2st.report.writers import MISSING, Table, number, whole

KEYS = ["dataset", "split", "method", "variant", "preset", "device", "threads"]
COLUMNS = [
    *(*KEYS, "fold", "seed", "parameters", "epochs", "seconds_training", "seconds_an_epoch"),
    *("peak_memory_gib", "peak_device_memory_gib", "training_spots"),
]
GIB = 2**30


def read_run_records(paths: Iterable[str | os.PathLike]) -> pd.DataFrame:
    """One row a ``run.json``: key, what it cost, where it ran, and its folder (runs).

    Runs that failed are left out.
    """
    rows = []
    for path in map(Path, paths):
        record = json.loads(path.read_text(encoding="utf-8"))
        if FAILED in record:
            continue
        rows.append(
            {
                **{key: record[key] for key in [*KEYS, "fold", "seed", "parameters"]},
                "epochs": record["settings"].get("epochs"),
                "seconds_training": record["seconds_training"],
                "seconds_an_epoch": record["seconds_an_epoch"],
                "peak_memory_gib": record["peak_memory_bytes"] / GIB,
                "peak_device_memory_gib": record["peak_device_memory_bytes"] / GIB,
                "training_spots": record["training_spots"],
            }
        )
    records = pd.DataFrame(rows, columns=COLUMNS)
    return records.assign(runs=run_folders(records))


def cost_table(records: pd.DataFrame) -> Table:
    """Medians over the runs of a method on one kind of device.

    Args:
        records: of :func:`read_run_records`.

    Returns:
        ``values`` holds every run; ``shown`` the medians.
    """
    medians = records.groupby(KEYS, sort=False, dropna=False).agg(
        runs=("runs", "size"),
        parameters=("parameters", "median"),
        epochs=("epochs", "median"),
        seconds_training=("seconds_training", "median"),
        slowest=("seconds_training", "max"),
        seconds_an_epoch=("seconds_an_epoch", "median"),
        memory=("peak_memory_gib", "max"),
        device_memory=("peak_device_memory_gib", "max"),
    )
    medians = in_fixed_order(medians.reset_index())
    shown = pd.DataFrame(
        {
            "Dataset": medians["dataset"],
            "Split": medians["split"].map(split_label),
            "Method": method_labels(medians),
            "Parameters": medians["parameters"].map(_millions),
            "Epochs": medians["epochs"].map(whole),
            "Seconds a run": medians["seconds_training"].map(_seconds),
            "Slowest run, s": medians["slowest"].map(_seconds),
            "Seconds an epoch": medians["seconds_an_epoch"].map(number),
            "Peak memory, GiB": medians["memory"].map(_gib),
            "Peak device memory, GiB": medians["device_memory"].replace(0, float("nan")).map(_gib),
            "Device": medians["device"],
            "Threads": medians["threads"].map(whole),
            "Runs": medians["runs"].map(whole),
        }
    )
    notes = (
        "Seconds: wall time of training, without loading; medians over runs. Memory: the highest "
        "of the runs, of the whole process. Runs that shared the machine with others are slower.",
    )
    brief = ("Method", "Parameters", "Seconds a run", "Peak memory, GiB")
    title, leading = "Cost of training one fold", ("Dataset", "Split")
    return Table("cost", title, records, shown, leading, notes, brief)


def _millions(parameters: float) -> str:
    return MISSING if not parameters else f"{parameters / 1e6:.3f} M"


def _seconds(seconds: float) -> str:
    return number(seconds, 1 if seconds < 100 else 0)


def _gib(gib: float) -> str:
    return number(gib, 2)
