"""What every job of the workflow does around its one task."""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from reg2st.base.errors import UserError
from reg2st.base.memory import is_out_of_memory, peak_memory_bytes

UNWRITABLE = {
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free space within your quota",
    errno.EROFS: "have that disk mounted for writing",
    errno.EACCES: "correct the permissions",
}
"""What the user can do when a file cannot be written, by the system's error."""

ERASE_LINE = "\r\x1b[2K"


@contextmanager
def job(log: str, threads: int = 1) -> Iterator[logging.Logger]:
    """Run the block as one job: log to a file, limit its threads, explain the user's mistakes.

    Warnings of this package also go to the terminal; of errors Snakemake shows the whole log.
    A ``UserError``, a full disk or a lack of memory ends the process with exit code 1 and one
    sentence; any other exception leaves its traceback in the log.
    """
    for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    # It stays open until the process ends.
    handle = open(log, "w", buffering=1, encoding="utf-8")  # noqa: SIM115
    terminal = _Warnings(sys.stderr)
    sys.stdout = sys.stderr = handle
    logging.basicConfig(stream=handle, level=logging.INFO, format="%(message)s", force=True)
    logging.getLogger("reg2st").addHandler(terminal)
    try:
        yield logging.getLogger("reg2st")
    except UserError as error:
        logging.error("Error: %s", error)
        sys.exit(1)
    except Exception as error:
        if (reason := _lack(error)) is not None:
            logging.error("Error: %s", reason)
            sys.exit(1)
        logging.exception("This is an error in the workflow, not in your input; please report it.")
        sys.exit(1)


class _Warnings(logging.StreamHandler):
    """Prints warnings, on a terminal in the place of the line that says how far the run is."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.addFilter(lambda record: record.levelno == logging.WARNING)
        clear = ERASE_LINE if stream.isatty() else ""
        self.setFormatter(logging.Formatter(f"{clear}Warning: %(message)s"))


def _lack(error: Exception) -> str | None:
    """One sentence on what the machine lacked; None for any other error."""
    if is_out_of_memory(error):
        return (
            f"this job ran out of memory when it held {peak_memory_bytes() / 1e9:.1f} GB; each "
            "retry asks for more; without retries, give its rule more `mem_mb` "
            "(docs/tutorials/cluster.md) or run fewer jobs at once."
        )
    if isinstance(error, OSError):
        for number, remedy in UNWRITABLE.items():
            if error.errno == number or os.strerror(number) in str(error):
                where = f" at {error.filename}" if error.filename else ""
                return f"{os.strerror(number)}{where}; {remedy}, then run the same command again."
    return None
