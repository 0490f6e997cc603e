"""What jobs took: in this folder by their benchmark files, elsewhere by ``resources/rates.tsv``."""

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from snakemake.io import (
    IOFile,
    apply_wildcards,
    regex_from_filepattern,
    strip_wildcard_constraints,
)

from reg2st.base.files import written_whole
from reg2st.tools import ROOT

TABLE = ROOT / "resources" / "rates.tsv"
RECORD = "/run.json"
"""How ends the path of a training's record."""

KIND = ("method", "encoder", "weights", "table", "figure", "suffix", "preset")
"""Traits that say what a job computes, rather than on what."""


class Rate(NamedTuple):
    """What a job took.

    Attributes:
        traits: see :func:`traits_of`; of a job elsewhere only those in ``KIND``, and its epochs.
        seconds: wall-clock time.
        memory: most resident memory, MB; 0 if the job ended before Snakemake looked.
        inputs: size of its inputs, MB; 0 if they are gone.
        outputs: size of each output, MB; empty if they are gone.
        benchmark: its benchmark file; empty if it ran elsewhere.
    """

    rule: str
    traits: Mapping[str, str]
    seconds: float
    memory: float
    inputs: float
    outputs: tuple[float, ...]
    benchmark: str = ""


def traits_of(
    rule: Any, study: str, wildcards: Mapping[str, str], run: Mapping[str, Any]
) -> dict[str, str]:
    """What the cost of a job depends on, beside its inputs.

    Args:
        rule: Snakemake's rule.
        run: the specification or the record of a training; empty for other jobs.

    Returns:
        The study, the wildcards, the ``suffix`` of an output that the rule leaves open (downloads),
        and ``preset`` and ``epochs`` of a training, and its ``budget`` of seconds if it has one.
    """
    traits = {"study": study, **wildcards}
    if len(rule.output) == 1 and rule.output[0].endswith("}"):
        traits["suffix"] = Path(apply_wildcards(rule.output[0], wildcards)).suffix
    known = {**run, **run.get("key", {}), **run.get("settings", {})}
    if (tuning := known.get("tuning")) is not None:
        traits["budget"] = str(tuning["seconds"])
    return traits | {name: str(known[name]) for name in ("preset", "epochs") if name in known}


def epochs_of(traits: Mapping[str, str]) -> int:
    """Epochs of a training; 1 for any other job."""
    return int(traits.get("epochs", 1))


def size_of(file: str) -> float:
    """Size of a file, MB; 0 if there is none."""
    return os.path.getsize(file) / 1e6 if os.path.exists(file) else 0.0


def measured_rates(workflow: Any, study: str) -> Iterator[Rate]:
    """What the benchmark files of all studies in this folder say of the rules of a workflow.

    Args:
        workflow: Snakemake's workflow.
        study: the one whose paths its rules have.
    """
    for rule in filter(lambda rule: rule.benchmark, workflow.rules):
        pattern, *outputs = (
            strip_wildcard_constraints(path).replace(f"/{study}/", "/{study,[^/]+}/", 1)
            for path in (rule.benchmark, *rule.output)
        )
        # Only the last wildcard may hold a slash: a file, or what a figure is of.
        *names, _ = re.findall(r"{(\w+)}", pattern) or [""]
        for name in names:
            pattern = pattern.replace(f"{{{name}}}", f"{{{name},[^/]+}}")
        regex = regex_from_filepattern(pattern)
        for file in map(str, Path(pattern.partition("{")[0]).rglob("*.tsv")):
            match = re.fullmatch(regex, file)
            if match and os.path.getsize(file):  # that of a killed job may be empty
                wildcards = match.groupdict()
                made = [apply_wildcards(output, wildcards) for output in outputs]
                inputs = workflow.persistence.input(IOFile(made[0], rule)) or []
                yield _rate(rule, wildcards, file, inputs, made)


def _rate(
    rule: Any, wildcards: dict[str, str], benchmark: str, inputs: list[str], outputs: list[str]
) -> Rate:
    record = next((file for file in outputs if file.endswith(RECORD)), "")
    run = json.loads(Path(record).read_text(encoding="utf-8")) if os.path.exists(record) else {}
    traits = traits_of(rule, wildcards.pop("study"), wildcards, run)
    with open(benchmark, encoding="utf-8") as lines:
        row = next(csv.DictReader(lines, delimiter="\t"))
    return Rate(
        rule=rule.name,
        traits=traits,
        seconds=float(row["s"]),
        memory=0.0 if row["max_rss"] in ("NA", "-") else float(row["max_rss"]) * 2**20 / 1e6,
        inputs=sum(map(size_of, inputs)) if all(map(os.path.exists, inputs)) else 0.0,
        outputs=tuple(map(size_of, outputs)) if all(map(os.path.exists, outputs)) else (),
        benchmark=benchmark,
    )


def shipped_rates(table: Path = TABLE) -> list[Rate]:
    """The rates of the table that comes with the workflow, one a rule and kind of job."""
    with open(table, encoding="utf-8") as lines:
        return [
            Rate(
                rule=row["rule"],
                traits=dict(trait.split("=") for trait in row["kind"].split()),
                seconds=float(row["seconds"]),
                memory=float(row["memory_mb"]),
                inputs=float(row["inputs_mb"]),
                outputs=tuple(map(float, row["outputs_mb"].split())),
            )
            for row in csv.DictReader(lines, delimiter="\t")
        ]


def save_rates(rates: Iterable[Rate], origin: str, table: Path = TABLE) -> None:
    """Add rates to a table; of each rule and kind, the job of median time stands for all.

    Args:
        origin: where they were measured, in words.
    """
    kinds = defaultdict(list)
    for rate in sorted(rates, key=lambda rate: rate.seconds):
        names = (name for name in (*KIND, "epochs") if name in rate.traits)
        kind = " ".join(f"{name}={rate.traits[name]}" for name in names)
        kinds[rate.rule, kind].append(rate)
    with open(table, encoding="utf-8") as lines:
        heads, *known = csv.reader(lines, delimiter="\t")
    rows = {tuple(row[:2]): row for row in known}
    for key, group in kinds.items():
        rate = group[len(group) // 2]
        numbers = (f"{number:.3g}" for number in (rate.seconds, rate.memory, rate.inputs))
        rows[key] = [*key, *numbers, " ".join(f"{size:.3g}" for size in rate.outputs), origin]
    with written_whole(table) as temporary, open(temporary, "w", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerows([heads, *map(rows.get, sorted(rows))])
