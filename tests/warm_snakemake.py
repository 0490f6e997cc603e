"""Run snakemake in a fork of a process that has imported it, which saves most of a dry run."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

SLOW_TO_IMPORT = ["snakemake.cli", "pandas", "torch", "reg2st.study.study"]


def run_snakemake(arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess:
    """What ``subprocess.run`` returns for the command ``snakemake``, with texts of its output.

    Args:
        arguments: of the command.
        environment: variables to add.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(SLOW_TO_IMPORT)
    with TemporaryDirectory() as folder:
        written = [Path(folder, name) for name in ("stdout", "stderr")]
        child = processes.Process(
            target=_be_snakemake, args=(arguments, {**os.environ, **environment}, *written)
        )
        child.start()
        child.join()
        return subprocess.CompletedProcess(
            ["snakemake", *arguments], child.exitcode, *(path.read_text() for path in written)
        )


def _be_snakemake(arguments, environment, stdout, stderr) -> None:
    for path, stream in ((stdout, sys.stdout), (stderr, sys.stderr)):
        with path.open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["snakemake", *arguments]
    from snakemake.cli import main

    main()
