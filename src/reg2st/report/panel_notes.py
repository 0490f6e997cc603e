"""What a reader of a table must know of the gene panels behind it."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

LISTED = 20
"""Genes that a note lists."""


def panel_notes(records: Iterable[str | os.PathLike]) -> tuple[str, ...]:
    """One sentence for each list of genes of which some are in no section.

    Args:
        records: how the panels of the datasets were made, JSON files beside them.
    """
    notes = []
    for path in map(Path, records):
        record = json.loads(path.read_text(encoding="utf-8"))
        if left_out := record.get("left_out"):
            more = f" and {len(left_out) - LISTED} more" if len(left_out) > LISTED else ""
            notes.append(
                f"Left out of the panel {record['file']}, since no section of {path.parent.name} "
                f"has them: {len(left_out)} genes ({', '.join(left_out[:LISTED])}{more})."
            )
    return tuple(notes)
