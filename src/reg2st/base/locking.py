"""One process at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def alone(lock_file: str | os.PathLike) -> Iterator[None]:
    """Run the block while no other process runs one under this lock file; then remove the file.

    A killed process releases the lock; its file stays until the next process has taken it.
    """
    lock_file = Path(lock_file)
    with FileLock(lock_file):
        try:
            yield
        finally:
            lock_file.unlink(missing_ok=True)  # a waiting FileLock notices and makes a new file
