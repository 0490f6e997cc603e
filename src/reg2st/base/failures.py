"""Work that fails on its data: noted while the rest goes on, refused when all is done.

A job that meets a ``UserError`` in its data writes its outputs all the same, and its record, a JSON
file, says why it failed. The jobs after it leave it out. The last job of a target refuses the
failures, so that Snakemake ends with an exit code other than 0.
"""

import json
import logging
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from reg2st.base.errors import UserError

log = logging.getLogger(__name__)

FAILED = "failed"
"""The key of a record that holds the reason."""

LISTED = 10
"""Failures that a refusal lists."""


@contextmanager
def noted(name: str, write: Callable[[str], None]) -> Iterator[None]:
    """Note a ``UserError`` of the block instead of raising it.

    Crashes and a lack of memory pass, so that the job fails and is tried again.

    Args:
        name: of the work, for the warning.
        write: writes the outputs of work that failed; takes the reason.
    """
    try:
        yield
    except UserError as error:
        log.warning("%s failed: %s", name, error)
        write(str(error))


def failure_of(record: str | os.PathLike) -> str | None:
    """The reason why work failed, from its record; None if it did not."""
    return json.loads(Path(record).read_text(encoding="utf-8")).get(FAILED)


def refuse_failures(records: Collection[str | os.PathLike], noun: str) -> None:
    """Refuse work that failed.

    Args:
        records: JSON files, one for each piece of work.
        noun: what a piece of work is called ("run").

    Raises:
        UserError: names what failed, with its folder and the reason.
    """
    reasons = {Path(record).parent: failure_of(record) for record in records}
    failed = {folder: reason for folder, reason in reasons.items() if reason is not None}
    if not failed:
        return
    lines = [f"{folder.as_posix()}: {reason}" for folder, reason in list(failed.items())[:LISTED]]
    if len(failed) > LISTED:
        lines.append(f"and {len(failed) - LISTED} more.")
    raise UserError(
        "\n  ".join(
            [
                f"{len(failed)} of {len(records)} {noun}s failed. Tables and figures are written "
                "without them. Correct the cause, then run the same command again; to try one "
                "again as it is, delete its folder:",
                *lines,
            ]
        )
    )
