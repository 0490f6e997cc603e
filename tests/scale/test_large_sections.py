"""Reg2ST predicts and trains on large sections in windows: bounded memory, linear time."""

import subprocess
import sys
from pathlib import Path

import pytest
from tabulate import tabulate

pytestmark = pytest.mark.scale

MOST_MB = 8000
MOST_GROWTH = 2.6
"""Of the time for twice the spots."""


def measured(task: str, spots: int) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a process of its own."""
    script = Path(__file__).with_name("large_section.py")
    command = [sys.executable, script, task, str(spots)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seconds, mb = map(float, done.stdout.split())
    return seconds, mb


@pytest.mark.timeout(2 * 3600)
def test_reg2st_on_large_sections_takes_bounded_memory_and_linear_time():
    tasks = [*(("predict", spots) for spots in (25_000, 50_000, 100_000, 200_000))]
    tasks += [("train", 25_000), ("train", 50_000)]
    of_task = {task: measured(*task) for task in tasks}
    rows = [[*task, f"{seconds:.0f} s", f"{mb:,.0f} MB"] for task, (seconds, mb) in of_task.items()]
    print(tabulate(rows, ["task", "spots", "time", "peak memory"], tablefmt="github"))
    assert max(mb for _, mb in of_task.values()) < MOST_MB
    for task, spots in tasks:
        if (task, 2 * spots) in of_task:
            growth = of_task[task, 2 * spots][0] / of_task[task, spots][0]
            assert growth < MOST_GROWTH, f"{task} takes {growth:.1f} times as long at {2 * spots}"
