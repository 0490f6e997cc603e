"""Files are written whole or not at all."""

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = socket.gethostname().split(".")[0]
SECONDS_OF_SILENCE = 3600
"""A temporary file of another machine that was not written to for so long is nobody's."""

UMASK = os.umask(0o077)
os.umask(UMASK)


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` that replaces it when the block succeeds.

    The temporary name keeps the suffixes of ``path``, since libraries choose formats by
    them. When the block raises, the temporary file is removed and ``path`` is untouched. What
    a writer of ``path`` left that was killed is removed first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path)
    temporary = path.with_name(f".{HOST}.{os.getpid()}.{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.chmod(temporary, 0o666 & ~UMASK)  # some libraries close their files to all others
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(path: Path) -> None:
    """Remove temporary files of ``path`` whose writers are gone."""
    for file in path.parent.iterdir():
        named = re.fullmatch(rf"\.(.+)\.(\d+)\.{re.escape(path.name)}", file.name)
        if named and not _may_be_written(file, host=named[1], process=int(named[2])):
            file.unlink(missing_ok=True)


def _may_be_written(file: Path, host: str, process: int) -> bool:
    if host == HOST:
        return process != os.getpid() and Path(f"/proc/{process}").exists()
    try:
        return time.time() - file.stat().st_mtime < SECONDS_OF_SILENCE
    except FileNotFoundError:
        return False


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
