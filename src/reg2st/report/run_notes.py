"""What a reader of a table must know of the runs behind it."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from reg2st.base.failures import FAILED
from reg2st.report.labels import method_label, split_label


def run_notes(records: Iterable[str | os.PathLike]) -> tuple[str, ...]:
    """One sentence for each reason why runs failed, and one on what follows; none if none failed.

    Args:
        records: ``run.json`` of each run.
    """
    folds: dict[tuple[str, ...], list[str]] = {}
    for path in records:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        if FAILED in record:
            method = method_label(record["method"], record["variant"], record["preset"])
            place = f"{record['dataset']}, {split_label(record['split'])}"
            key = (method, place, record[FAILED])
            folds.setdefault(key, []).append(f"{record['fold']} (seed {record['seed']})")
    if not folds:
        return ()
    notes = [
        f"Failed: {method} on {place}, fold {', '.join(names)}. {reason[0].upper()}{reason[1:]}"
        for (method, place, reason), names in folds.items()
    ]
    return (
        *notes,
        "A run that failed predicts nothing: its pairs of section and gene are undefined, and "
        "means are over the others.",
    )
