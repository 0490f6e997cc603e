"""Run the real workflow in a separate folder."""

import copy
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from opened_files import traced
from warm_snakemake import run_snakemake

TINY = {
    "name": "tiny",
    "datasets": {
        "simulated": {
            "source": {"simulation": {"patients": 2, "sections_per_patient": 2, "spots": 40}},
            "panel": {"recipe": {"variable_genes": 60, "min_spots": 10}},
            "folds": {"section_out": ["A1", "B1"]},
        }
    },
    "inputs": {"embeddings": [{"encoder": "tissue_statistics"}]},
    "methods": {
        "ridge": {},
        "reg2st": {
            "preset": "quick",
            "variants": {"without_contrastive": {"contrastive": False}, "wide": {"hidden": 128}},
        },
    },
    "ablation": {"variants": ["without_contrastive"], "splits": ["patient_out"]},
    "sensitivity": {"curves": {"hidden": ["full", "wide"]}, "splits": ["patient_out"]},
}


def smallest() -> dict:
    """The tiny study with one section to train on, one to test on, and no experiment."""
    config = copy.deepcopy(TINY)
    del config["ablation"], config["sensitivity"], config["methods"]["reg2st"]["variants"]
    dataset = config["datasets"]["simulated"]
    dataset["source"]["simulation"]["sections_per_patient"] = 1
    dataset["folds"] = {"section_out": ["A1"]}
    return {**config, "splits": ["section_out"]}


@dataclass
class Study:
    """A folder with one configuration, in which snakemake is run as a user would."""

    root: Path
    folder: Path
    config: dict

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.config["name"]

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        return [sys.executable, "-m", "snakemake", *self.options(*arguments, cores=cores)]

    def options(self, *arguments: str, cores: int = 2) -> list[str]:
        configfile = self.folder / "config.yaml"
        config = yaml.safe_dump(self.config)
        # Another process may be reading the file of a study that tests share.
        if not configfile.exists() or configfile.read_text() != config:
            configfile.write_text(config)
        return [
            *("--snakefile", str(self.root / "workflow" / "Snakefile")),
            *("--workflow-profile", str(self.root / "workflow" / "profiles" / "default")),
            *("--directory", str(self.folder), "--configfile", str(configfile)),
            *("--cores", str(cores), "--nocolor", *arguments),
        ]

    def run(
        self, *arguments: str, cores: int = 2, trace: Path | None = None
    ) -> subprocess.CompletedProcess:
        """Run it; ``trace`` is a file for the system calls of its processes."""
        if trace is None:
            return run_snakemake(self.options(*arguments, cores=cores), OMP_NUM_THREADS="1")
        return subprocess.run(
            traced(self.command(*arguments, cores=cores), trace),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def planned(self, *arguments: str) -> set[str]:
        """Rules that a dry run would run; empty when there is nothing to do."""
        done = self.run(*arguments, "--dry-run", "--quiet", "rules")
        assert done.returncode == 0, done.stdout + done.stderr
        lines = (done.stdout + done.stderr).splitlines()
        table = [line.split() for line in lines]
        return {words[0] for words in table if len(words) == 2 and words[1].isdigit()} - {
            "total",
            "job",
        }
