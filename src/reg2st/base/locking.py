"""One process at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def alone(lock_file: str | os.PathLike) -> Iterator[None]:
    """Wait until no other process is in a block of this lock file, which is removed after it.

    A process that is killed inside frees the lock, though its file stays for the next to take.
    """
    lock_file = Path(lock_file)
    with FileLock(lock_file):
        try:
            yield
        finally:
            lock_file.unlink(missing_ok=True)  # FileLock sees that and starts over elsewhere
