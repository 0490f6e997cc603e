"""What every job of the workflow does around its one task."""

import logging
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from reg2st.errors import UserError


@contextmanager
def job(log: str, threads: int = 1) -> Iterator[logging.Logger]:
    """Run the block as one job: log to a file, use so many threads, explain the user's mistakes.

    A ``UserError`` ends the process with exit code 1 and its sentence; any other exception
    leaves its traceback in the log.
    """
    for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    handle = open(log, "w", buffering=1)  # noqa: SIM115 - stays open until the process ends
    sys.stdout = sys.stderr = handle
    logging.basicConfig(stream=handle, level=logging.INFO, format="%(message)s", force=True)
    try:
        yield logging.getLogger("reg2st")
    except UserError as error:
        logging.error("Error: %s", error)
        sys.exit(1)
    except Exception:
        logging.exception("This is a fault of the workflow, not of your input; please report it.")
        sys.exit(1)


def peak_memory_bytes() -> int:
    """The most resident memory that this process has held.

    On Linux ``ru_maxrss`` begins with what the parent held when it started the process, so the
    kernel's own mark is read there.
    """
    try:
        with open("/proc/self/status") as status:
            mark = next(line for line in status if line.startswith("VmHWM:"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(mark.split()[1]) * 1024
