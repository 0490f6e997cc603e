"""What a job tells its log and what it tells the terminal."""

import os
import pty
import subprocess
import sys

JOB = """
import logging, sys
from reg2st.base.jobs import job

with job(sys.argv[1]) as log:
    log.info("All is well.")
    logging.getLogger("another.library").warning("Not ours.")
    logging.getLogger("reg2st.sections").warning("Section S1 is doubtful.")
    log.error("Told by Snakemake.")
"""


def test_only_our_warnings_reach_the_terminal(tmp_path):
    log = tmp_path / "job.log"
    done = subprocess.run(
        [sys.executable, "-c", JOB, log], capture_output=True, text=True, check=True
    )
    assert done.stderr == "Warning: Section S1 is doubtful.\n"
    assert log.read_text().splitlines() == [
        *("All is well.", "Not ours.", "Section S1 is doubtful.", "Told by Snakemake.")
    ]


def test_a_warning_takes_the_place_of_the_line_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", JOB, tmp_path / "job.log"], stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    assert shown == "\r\x1b[2KWarning: Section S1 is doubtful.\r\n"
