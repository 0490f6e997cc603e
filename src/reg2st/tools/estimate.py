"""What a study costs: its jobs as Snakemake plans them, priced by what such jobs took.

``python -m reg2st.tools.estimate --configfile config/config.yaml config/experiments.yaml``

A job is priced by the benchmark files of those jobs of its rule that are most like it: itself, the
same method or encoder, any. Time and sizes are taken to grow in proportion to its inputs. Where
no such job ran in this folder, ``resources/rates.tsv`` says what it took elsewhere.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import yaml
from tabulate import tabulate

from reg2st.base.devices import visible_devices
from reg2st.base.errors import UserError
from reg2st.tools import ROOT
from reg2st.tools.plan import Job, plan
from reg2st.tools.rates import KIND, Rate, epochs_of, save_rates, shipped_rates, size_of

ELSEWHERE, NOWHERE = "*", "?"
NOTE = """
* Not measured in this folder: priced by what such jobs took elsewhere (resources/rates.tsv), or by
  another kind of job. ? Never measured: not in the sums.
  Run one fold of each split, then estimate again:
  snakemake --configfile {files} \\
    --config '{folds}'"""


class Cost(NamedTuple):
    """What a job takes.

    Attributes:
        seconds: wall-clock time.
        memory: most resident memory, MB.
        disk: size of its outputs, MB.
        mark: empty if a job of its kind was measured in this folder.
    """

    job: Job
    seconds: float
    memory: float
    disk: float
    mark: str


def price(jobs: Iterable[Job], rates: Sequence[Rate]) -> list[Cost]:
    """What jobs take, each given after those that it waits for."""
    start = min((rate.seconds for rate in rates), default=0)  # the least: Python starts
    of_rule = defaultdict(list)
    for rate in rates:
        of_rule[rate.rule].append(rate)
    sizes: dict[str, float] = {}
    costs = []
    for job in jobs:
        nearest, mark = _nearest(job, of_rule[job.rule])
        inputs = sum(sizes.get(file, size_of(file)) for file in job.inputs)
        seconds, memory, outputs = [], [], []
        for rate in nearest:
            growth = inputs / rate.inputs if inputs and rate.inputs else 1
            epochs = epochs_of(job.traits) / epochs_of(rate.traits)
            seconds.append(start + (rate.seconds - start) * growth * epochs)
            # A training holds its inputs; its model is as large however many they are.
            trains = "preset" in job.traits
            if rate.memory:
                memory.append(rate.memory + (rate.inputs * (growth - 1) if trains else 0))
            if rate.outputs:
                outputs.append([size * (1 if trains else growth) for size in rate.outputs])
        if job.to_do:
            sizes.update(zip(job.outputs, map(median, zip(*outputs, strict=False)), strict=False))
        disk = sum(sizes.get(file, size_of(file)) for file in job.outputs)
        if job.to_do and "budget" in job.traits:
            seconds = [float(job.traits["budget"])]
        costs.append(Cost(job, median(seconds or [0]), median(memory or [0]), disk, mark))
    return costs


def _nearest(job: Job, rates: Iterable[Rate]) -> tuple[list[Rate], str]:
    """The rate of the job itself or those of the jobs most like it, and its mark."""
    groups = defaultdict(list)
    for rate in rates:
        kind = [job.traits.get(trait) == rate.traits.get(trait) for trait in KIND]
        shared = len(job.traits.items() & rate.traits.items())
        itself = rate.benchmark == job.benchmark
        groups[*kind, bool(rate.benchmark), itself, shared].append(rate)
    if not groups:
        return [], NOWHERE if job.benchmark else ""
    closest = max(groups)
    return groups[closest], "" if all(closest[: len(KIND) + 1]) else ELSEWHERE


def megabytes_to_write(costs: Iterable[Cost]) -> float:
    """What the jobs that are still to do add to the disk."""
    left = [cost for cost in costs if cost.job.to_do]
    return sum(cost.disk - sum(map(size_of, cost.job.outputs)) for cost in left)


def wall_seconds(costs: Iterable[Cost], cores: int, devices: int) -> float:
    """The least time that what is to do takes: all cores or GPUs at work, or the longest chain.

    Args:
        cores: jobs that run at once.
        devices: GPUs that they share; without any, a job that asks for one takes a core.
    """
    ends: dict[str, float] = {}
    left = [cost for cost in costs if cost.job.to_do]
    for job, seconds, *_ in left:
        begin = max((ends.get(file, 0) for file in job.inputs), default=0)
        ends.update(dict.fromkeys(job.outputs, begin + seconds))
    on_cores = sum(cost.seconds for cost in left) / cores
    on_devices = _gpu_seconds(left) / (devices or cores)
    return max(on_cores, on_devices, *ends.values(), 0)


def _gpu_seconds(costs: Iterable[Cost]) -> float:
    return sum(cost.seconds for cost in costs if cost.job.gpu)


def render(costs: Sequence[Cost], cores: int, devices: int) -> str:
    """The estimate as text: a line a rule, then sums of what is still to do; 80 columns.

    Args:
        cores, devices: as of :func:`wall_seconds`.
    """
    rules = defaultdict(list)
    for cost in costs:
        rules[cost.job.rule].append(cost)
    heads = ("rule", "jobs", "to do", "time", "longest", "memory", "disk", "")
    rows = [heads, *(_row(*rule) for rule in rules.items()), _row("total", costs)]
    table = tabulate(rows, tablefmt="plain", colalign=("left", *["right"] * 6))
    left = [cost for cost in costs if cost.job.to_do]
    if not left:
        return f"{table}\n\nNothing is left to do."
    gpu = _gpu_seconds(left)
    sums = {
        "CPU hours": f"{(sum(cost.seconds for cost in left) - gpu) / 3600:.2f}",
        "GPU hours": f"{gpu / 3600:.2f}" + ("" if devices else " (core hours: no GPU here)"),
        "wall time": f"{_time(wall_seconds(costs, cores, devices))} or more on {cores} cores",
        "disk": _size(megabytes_to_write(costs)),
    }
    return f"{table}\n\nWhat is still to do takes\n{tabulate(sums.items(), tablefmt='plain')}"


def _row(name: str, costs: Sequence[Cost]) -> tuple[str | int, ...]:
    jobs, seconds, memory, disk, marks = zip(*costs, strict=True)
    to_do = sum(job.to_do for job in jobs)
    times = (_time(sum(seconds)), _time(max(seconds)))
    return (name, len(jobs), to_do, *times, _size(max(memory)), _size(sum(disk)), max(marks))


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds else "-"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _size(megabytes: float) -> str:
    if not megabytes:
        return "-"
    return f"{megabytes:.1f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def one_fold_of_each_split(jobs: Iterable[Job]) -> str:
    """The configuration of a pilot, as Snakemake's ``--config`` takes it."""
    datasets: dict[str, dict] = {}
    for traits in (job.traits for job in jobs):
        if {"dataset", "split", "fold"} <= traits.keys():
            splits = datasets.setdefault(traits["dataset"], {"folds": {}})["folds"]
            splits.setdefault(traits["split"], [traits["fold"]])
    return "datasets=" + yaml.safe_dump(datasets, default_flow_style=True, width=1000).strip()


def main() -> None:
    """Print what a study costs; with ``--save-rates``, keep what its jobs took."""
    parser = argparse.ArgumentParser(prog="python -m reg2st.tools.estimate", description=__doc__)
    parser.add_argument("targets", nargs="*", help="rules or files; the whole study without any")
    parser.add_argument("--configfile", nargs="+", type=Path, default=[ROOT / "config/config.yaml"])
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--save-rates", metavar="ORIGIN", help="add to resources/rates.tsv")
    arguments = parser.parse_args()
    try:
        config, jobs, rates = plan(arguments.configfile, arguments.targets)
    except UserError as error:
        sys.exit(f"Error: {error}")
    if arguments.save_rates:
        save_rates((r for r in rates if r.traits["study"] == config["name"]), arguments.save_rates)
    costs = price(jobs, [*rates, *shipped_rates()])
    print(f"Study '{config['name']}'\n\n{render(costs, arguments.cores, len(visible_devices()))}")
    if any(cost.mark for cost in costs):
        files = " ".join(map(str, arguments.configfile))
        print(NOTE.format(files=files, folds=one_fold_of_each_split(jobs)))


if __name__ == "__main__":
    main()
