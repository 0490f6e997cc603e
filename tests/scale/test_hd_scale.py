"""A made-up study of Visium HD runs in memory that is bounded and in time linear in its bins."""

import csv
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_hd import make_study
from tabulate import tabulate

pytestmark = pytest.mark.scale

SIZES = (25_000, 100_000, 200_000)
MOST_MB = 8000
MOST_GROWTH = 2.6
"""Of the CPU time of a rule from 100,000 to 200,000 bins."""

LEAST_SECONDS = 20
"""Shorter jobs are mostly start-up."""


def measured(logs: Path) -> dict[str, tuple[float, float]]:
    """CPU seconds and resident memory (MB), the most of each rule and encoder or method."""
    found: dict[str, tuple[float, float]] = {}
    for path in logs.rglob("*.tsv"):
        rule, *parts = path.relative_to(logs).with_suffix("").parts
        kinds = ("tissue_statistics", "mean_grey", "brightness", "ridge", "sprig", "gene_maps")
        name = " ".join([rule, *(kind for kind in kinds if kind in parts)])
        with path.open() as lines:
            row = next(csv.DictReader(lines, delimiter="\t"))
        memory = 0.0 if row["max_rss"] in ("-", "NA") else float(row["max_rss"]) * 2**20 / 1e6
        seconds, most = found.get(name, (0.0, 0.0))
        found[name] = (max(seconds, float(row["cpu_time"])), max(most, memory))
    return found


@pytest.mark.timeout(24 * 3600)
def test_hd_sections_take_bounded_memory_and_linear_time(root, tmp_path):
    of_size = {}
    for bins in SIZES:
        folder = tmp_path / str(bins)
        config = make_study(folder, bins)
        command = [sys.executable, "-m", "snakemake", "--snakefile", root / "workflow/Snakefile"]
        command += ["--workflow-profile", "none", "--directory", folder, "--configfile", config]
        cores = str(os.cpu_count())
        command += ["comparison", "--cores", cores, "--set-threads", f"measure_section={cores}"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        of_size[bins] = measured(folder / "logs" / "hd")
    rules = sorted(set.union(*map(set, of_size.values())))
    rows = [
        [rule, *(f"{s:.0f} s, {mb:,.0f} MB" for s, mb in (of_size[bins][rule] for bins in SIZES))]
        for rule in rules
    ]
    # Snakemake samples memory; the kernel knows the most that any job had.
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    print(f"The largest job had {peak_mb:,.0f} MB.")
    assert peak_mb < MOST_MB
    print(tabulate(rows, ["rule", *(f"{bins:,} bins" for bins in SIZES)], tablefmt="github"))
    for rule in rules:
        before, after = (of_size[bins][rule][0] for bins in SIZES[-2:])
        growth = after / max(before, LEAST_SECONDS)
        assert growth < MOST_GROWTH, f"{rule} takes {growth:.1f} times as long for twice the bins"
