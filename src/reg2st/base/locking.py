"""One process at a time."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from reg2st.base.errors import UserError

log = logging.getLogger(__name__)

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What systems answer where files cannot be locked, as on some NFS and Lustre mounts."""

LONGEST_SECONDS = 60
"""Locks are held for far less; who waits longer for a marker waits for a process that died."""


@contextmanager
def alone(lock_file: str | os.PathLike) -> Iterator[None]:
    """Run the block while no other process runs one under this lock file; then remove the file.

    A killed process releases the lock; its file stays until the next process has taken it. Where
    the file system cannot lock files, a marker file beside it stands for the lock.

    Raises:
        UserError: such a marker stays for longer than ``LONGEST_SECONDS``.
    """
    lock_file = Path(lock_file)
    lock = _taken(lock_file)
    try:
        yield
    finally:
        lock_file.unlink(missing_ok=True)  # a waiting FileLock notices and makes a new file
        lock.release()


def _taken(lock_file: Path) -> BaseFileLock:
    lock: BaseFileLock = FileLock(lock_file, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning(
            "Files cannot be locked in %s (%s); a marker file stands for the lock.",
            lock_file.absolute().parent,
            error.strerror,
        )
        marker = lock_file.with_name(f"{lock_file.name}.held")
        lock = SoftFileLock(marker)
        try:
            lock.acquire(timeout=LONGEST_SECONDS)
        except Timeout as waited:
            raise UserError(
                f"{marker} says that another process works here, for {LONGEST_SECONDS} s now; "
                "delete it if none does, and run again."
            ) from waited
    return lock
