"""Which files each job of a workflow opens, by the system calls of its process and its children."""

import os
import re
from collections import defaultdict
from pathlib import Path

LINE = re.compile(r"^(\d+) +(.*)$")
SCRIPT = re.compile(r"^execve\(.*\.snakemake/scripts/")
CHILD = re.compile(r"^(?:clone3?|v?fork)\(.*\) = (\d+)$")
UNFINISHED = " <unfinished ...>"
OPENED = re.compile(r'^openat\(AT_FDCWD, "([^"]+)", (\S+?)[,)].* = \d+$')


def traced(command: list[str], trace: Path) -> list[str]:
    """A command that also writes the system calls of its processes to a file."""
    # Without --seccomp-bpf every system call stops the process, which takes five times as long.
    options = "-f -qq --seccomp-bpf -s 4096 -e trace=execve,openat,clone,clone3,fork,vfork -o"
    return ["strace", *options.split(), str(trace), *command]


def opened_in(trace: Path, folder: Path) -> dict[str, set[str]]:
    """The files below the folder of a study that each job opened to read.

    Returns:
        By log file of the job, paths relative to the folder.
    """
    job_of: dict[str, str] = {}
    log_of: dict[str, str] = {}
    read = defaultdict(set)
    begun: dict[str, str] = {}
    for line in trace.read_text(errors="replace").splitlines():
        process, call = LINE.match(line).groups()
        if call.endswith(UNFINISHED):
            begun[process] = call.removesuffix(UNFINISHED)
            continue
        if call.startswith("<... "):
            call = begun.pop(process) + call.partition("resumed>")[2]
        if SCRIPT.match(call):
            job_of[process] = process
        child = CHILD.match(call)
        if child and process in job_of:
            job_of[child[1]] = job_of[process]
        opened = OPENED.match(call)
        if opened and process in job_of:
            path, flags = opened.groups()
            path = Path(os.path.relpath(folder / path, folder))
            if path.parts[:1] == ("logs",):
                log_of[job_of[process]] = str(path)
            elif flags.startswith("O_RDONLY") and not hidden(path) and not (folder / path).is_dir():
                read[job_of[process]].add(str(path))
    return {log_of[job]: read[job] for job in set(job_of.values())}


def hidden(path: Path) -> bool:
    """Whether a path is outside the folder, Snakemake's own, or a file not yet whole."""
    return any(part.startswith(".") for part in path.parts)
