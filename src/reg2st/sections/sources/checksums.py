"""A lock file of the checksums first seen, for files whose publisher gives none.

Not pooch's registry file: it records neither the size nor the date, and jobs cannot share it.
"""

import csv
import os
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.base.locking import alone


@dataclass(frozen=True)
class Checksum:
    """One row of a lock file; ``first_seen`` is a date in UTC, ``bytes`` the size."""

    file: str
    sha256: str
    bytes: int
    url: str
    first_seen: str


COLUMNS = [field.name for field in fields(Checksum)]


def read_lock(lock: str | os.PathLike) -> dict[str, Checksum]:
    """The checksums of a lock file (TSV) by file; empty if it does not exist.

    Raises:
        UserError: it is not a lock file, or one of its lines is incomplete.
    """
    lock = Path(lock)
    if not lock.exists():
        return {}
    remedy = "restore it, or delete it to record the checksums again"
    with open(lock, newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle, delimiter="\t")
        if reader.fieldnames != COLUMNS:
            raise UserError(
                f"{lock} is not a lock file of checksums: its first line must name the columns "
                f"{', '.join(COLUMNS)}; {remedy}."
            )
        recorded = {}
        for row in reader:
            try:
                checksum = Checksum(**{**row, "bytes": int(row["bytes"])})
            except (TypeError, ValueError) as error:
                raise UserError(
                    f"{lock}, line {reader.line_num}: the line is incomplete; {remedy}."
                ) from error
            recorded[checksum.file] = checksum
    return recorded


def name_in_lock(target: str | os.PathLike, lock: str | os.PathLike) -> str:
    """The target's path relative to the innermost folder that holds both target and lock file.

    A lock file thus stays valid when its project is moved or cloned.
    """
    target, lock = Path(target).absolute(), Path(lock).absolute()
    return target.relative_to(os.path.commonpath([target, lock])).as_posix()


def record_or_compare(
    lock: str | os.PathLike, file: str, sha256: str, size: int, url: str
) -> Checksum:
    """The checksum that a lock file holds for ``file``; the given one is recorded if none does.

    Jobs that run at the same time may share a lock file.
    """
    lock = Path(lock)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with alone(lock.with_name(f".{lock.name}.lock")):
        recorded = read_lock(lock)
        if file not in recorded:
            today = datetime.now(UTC).date().isoformat()
            recorded[file] = Checksum(file, sha256, size, url, today)
            with (
                written_whole(lock) as temporary,
                open(temporary, "w", newline="", encoding="utf-8") as handle,
            ):
                writer = csv.DictWriter(handle, COLUMNS, delimiter="\t", lineterminator="\n")
                writer.writeheader()
                writer.writerows(asdict(recorded[name]) for name in sorted(recorded))
    return recorded[file]
