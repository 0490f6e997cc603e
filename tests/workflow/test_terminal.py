"""What a person sees while Snakemake runs with ``--logger oneline``."""

import os
import pty
import re
import subprocess
import sys

import pytest

from snakemake_logger_plugin_oneline.pace import Pace

SNAKEFILE = """
rule all:
    input: "drawn.txt", "trained.txt"

rule read:
    output: "read.txt"
    message: "Reading section A1"
    shell: "touch {output}"

rule train:
    input: "read.txt"
    output: "trained.txt"
    log: "train.log"
    message: "Training on A1"
    shell:
        "printf 'first line\\\\nError: [A1] has no spots.\\\\n' > {log}; "
        "sleep 1.2; test {config[fails]} = no; touch {output}"

rule draw:
    input: "read.txt"
    output: report("drawn.txt")
    shell: "touch {output}"

onsuccess:
    print("The table of results")
"""


@pytest.fixture
def snakemake(tmp_path):
    """Run a small workflow; its output goes to a file, or to a terminal of 80 columns."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)

    def run(*arguments: str, fails: str = "no", terminal: bool = False) -> tuple[int, str]:
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", f"fails={fails}"]
        command += ["--show-failed-logs", "--keep-going", *arguments]
        output = tmp_path / "output.txt"
        with output.open("w") as file:
            place = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
            if not terminal:
                return subprocess.run(command, stdout=file, check=False, **place).returncode, (
                    output.read_text()
                )
            ours, theirs = pty.openpty()
            environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
            process = subprocess.Popen(command, stdout=theirs, env=environment, **place)
            os.close(theirs)
            shown = b""
            while chunk := _read(ours):
                shown += chunk
            return process.wait(), shown.decode()

    return run


def _read(terminal: int) -> bytes:
    """What was written to a terminal since; nothing once its last writer has ended."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_a_file_gets_a_line_for_each_job_and_failures_whole(snakemake):
    code, output = snakemake("--logger", "oneline", fails="yes")
    assert code != 0
    lines = output.splitlines()
    assert re.fullmatch(
        r"1 of 4 jobs, 0:\d\d:\d\d(, about 0:\d\d:\d\d left)?: Reading section A1 \(0:\d\d:\d\d\)",
        lines[0],
    )
    assert [line for line in lines if line.startswith("2 of 4 jobs") and "draw" in line]
    error = lines.index("Error in rule train: Training on A1")
    assert "sleep 1.2" in lines[error + 1]
    assert {"first line", "Error: [A1] has no spots."} <= set(lines[error:])
    assert re.fullmatch(r"2 of 4 jobs done in 0:\d\d:\d\d, 1 failed\.", lines[-1])
    assert "Reason:" not in output
    assert "\x1b" not in output
    assert len(lines) < 30


def test_a_terminal_shows_one_line_and_at_last_what_the_run_gave(snakemake):
    code, output = snakemake("--logger", "oneline", terminal=True)
    assert code == 0, output
    assert re.search(r"\d of 4 jobs, 0:\d\d:\d\d(, about 0:\d\d:\d\d left)?: train", output)
    assert "Reading section A1" not in output
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output).rstrip()
    assert re.search(r"4 of 4 jobs done in 0:\d\d:\d\d\.", plain)
    assert "The table of results" in plain
    assert output.count("\x1b[?25l") == output.count("\x1b[?25h") == 1, "the cursor is back"


def test_the_table_is_not_buried_under_the_files_of_the_report(snakemake, tmp_path):
    report = ("--report", "report.html", "--report-after-run")
    code, output = snakemake("--logger", "oneline", *report)
    assert code == 0, output
    assert (tmp_path / "report.html").exists()
    lines = output.splitlines()
    assert {"The table of results", "Creating report...", "Report created."} <= set(lines)
    assert [line for line in lines if line.startswith(("Adding", "Loading"))] == []


def test_a_dry_run_says_what_would_run_and_why(snakemake):
    code, output = snakemake("--dry-run", "--logger", "oneline")
    assert code == 0, output
    assert re.search(r"Job \d+: Training on A1\nReason: Missing output files: trained.txt", output)
    assert output.rstrip().endswith("does not reflect the order of execution.")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_follows_each_rules_own_jobs():
    clock = Clock()
    pace = Pace({"read": 3, "train": 2}, clock)
    assert pace.left() is None
    pace.start(1, "read")
    clock.now = 2
    assert pace.finish(1) == 2
    # 2 more of 2 s; no training has ended, so the 2 of them are taken for 2 s each, too.
    assert pace.left() == pytest.approx(8)
    pace.start(2, "train")
    clock.now = 12
    pace.finish(2)
    assert pace.left() == pytest.approx(2 * 2 + 10)
    assert (pace.done, pace.total) == (2, 5)


def test_jobs_side_by_side_take_less_time():
    clock = Clock()
    pace = Pace({"train": 6}, clock)
    for job in (1, 2):
        pace.start(job, "train")
    clock.now = 10
    for job in (1, 2):
        pace.finish(job)
    assert pace.left() == pytest.approx(4 * 10 / 2)
    pace.start(3, "train")
    clock.now = 14
    assert pace.running == {"train": 1}
    assert pace.left() == pytest.approx((3 * 10 + 6) / (24 / 14))


def test_a_job_that_failed_waits_to_be_tried_again():
    clock = Clock()
    pace = Pace({"train": 2}, clock)
    pace.start(1, "train")
    pace.fail(1)
    assert (pace.done, pace.failed, pace.total) == (0, 1, 2)
    pace.start(1, "train")
    clock.now = 5
    pace.finish(1)
    assert (pace.done, pace.total) == (1, 2)
    assert pace.left() == pytest.approx(5)
