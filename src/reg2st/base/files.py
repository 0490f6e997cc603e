"""Files are written whole or not at all.

No maintained library does this: atomicwrites is archived, and none clears what a killed job left.
"""

import hashlib
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = socket.gethostname().split(".")[0]
SECONDS_OF_SILENCE = 3600
"""A temporary folder of another machine is abandoned once it has not changed for this long."""

UMASK = os.umask(0o077)
os.umask(UMASK)


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` when the block succeeds.

    It has the name of ``path``, since libraries choose formats by suffix, and lies in a hidden
    folder beside it, since some libraries write temporary files next to their output. It may be a
    file or a folder. When the block raises, it is removed and ``path`` is untouched. What a killed
    writer of ``path`` left behind is removed first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path)
    folder = path.with_name(f".{HOST}.{os.getpid()}.{path.name}")
    folder.mkdir()
    temporary = folder / path.name
    try:
        yield temporary
        if temporary.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with open(temporary, "rb") as handle:
                os.fsync(handle.fileno())
            os.chmod(temporary, 0o666 & ~UMASK)  # some libraries write for the owner only
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_leftovers(path: Path) -> None:
    """Remove temporary folders of ``path`` whose writers no longer run."""
    for folder in path.parent.iterdir():
        named = re.fullmatch(rf"\.(.+)\.(\d+)\.{re.escape(path.name)}", folder.name)
        if named and not _may_be_written(folder, host=named[1], process=int(named[2])):
            shutil.rmtree(folder, ignore_errors=True)


def _may_be_written(folder: Path, host: str, process: int) -> bool:
    if host == HOST:
        return process != os.getpid() and Path(f"/proc/{process}").exists()
    try:
        written = max(each.stat().st_mtime for each in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return False
    return time.time() - written < SECONDS_OF_SILENCE


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
