"""Features that are finished before all are, kept beside the output for a job that is killed."""

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reg2st.base.errors import UserError

RECORD = struct.Struct("<QQQI")
"""Head of a record: first row, rows, fields in a batch, CRC-32 of the float32 values after it."""


class FinishedRows:
    """A file that grows with the rows of a feature matrix ``[n, d]``; a context manager.

    Its first line says in JSON what the rows are of; each record after it holds some rows. What a
    killed process wrote last may be cut short: reading stops there. Two processes that write the
    same rows at once do no harm, since a record says where its rows belong.

    The file is removed when the block succeeds, and at a ``UserError``, which the same rows would
    bring about again. It stays after any other error, such as a lack of memory.
    """

    def __init__(self, out: str | os.PathLike) -> None:
        """``out`` is the file that all rows are for."""
        out = Path(out)
        self.path = out.with_name(f"{out.name}.partial")
        self._file: BinaryIO | None = None

    def __enter__(self) -> "FinishedRows":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        if kind is None or issubclass(kind, UserError):
            self.path.unlink(missing_ok=True)

    def resume(self, about: Mapping[str, Any], embeddings: np.ndarray) -> tuple[int, int | None]:
        """Put the rows that an earlier process finished into ``embeddings``; open the file.

        Args:
            about: all that the rows depend on; the rows of another description are dropped.
            embeddings: float32 ``[n, d]``.

        Returns:
            Number of leading rows that are finished, and how many fields a batch had at last;
            None if no row is finished.
        """
        line = json.dumps(about, sort_keys=True).encode() + b"\n"
        done, batch_size, end = 0, None, len(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self.path, "a+b", buffering=0)  # noqa: SIM115
        file.seek(0)
        if file.read(len(line)) != line:
            file.truncate(0)
            file.write(line)
        else:
            for start, rows, batch_size_then, record_end in _records(file, embeddings.shape[1]):
                if start > done or start + len(rows) > len(embeddings):
                    break
                embeddings[start : start + len(rows)] = rows
                done = max(done, start + len(rows))
                batch_size, end = batch_size_then, record_end
            file.truncate(end)
        self._file = file
        return done, batch_size

    def append(self, start: int, rows: np.ndarray, batch_size: int) -> None:
        """Keep finished rows, float32 ``[m, d]``, of which the first is row ``start``."""
        values = np.ascontiguousarray(rows, dtype="<f4").tobytes()
        head = RECORD.pack(start, len(rows), batch_size, zlib.crc32(values))
        self._file.write(head + values)


def _records(file: BinaryIO, width: int) -> Iterator[tuple[int, np.ndarray, int, int]]:
    """Whole records from here on: first row, rows, fields in a batch, where the record ends."""
    size = os.fstat(file.fileno()).st_size
    while len(head := file.read(RECORD.size)) == RECORD.size:
        start, count, batch_size, checksum = RECORD.unpack(head)
        length = 4 * count * width
        if not 0 < length <= size - file.tell():
            return
        values = file.read(length)
        if zlib.crc32(values) != checksum:
            return
        rows = np.frombuffer(values, dtype="<f4").reshape(count, width)
        yield start, rows, batch_size, file.tell()
