"""Print what a study will cost: its jobs as Snakemake plans them, hours, disk and memory.

``python scripts/estimate.py --configfile config/config.yaml``
"""

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from reg2st.base.errors import UserError
from reg2st.study.config import read_datasets, validated
from reg2st.study.runs import expand_runs
from reg2st.tools.estimate import estimate, render

ROOT = Path(__file__).resolve().parent.parent


def planned_jobs(configfile: Path, *options: str) -> dict[str, int]:
    """Jobs by rule of a dry run.

    Raises:
        UserError: Snakemake refuses the study.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow/Snakefile")]
    command += ["--configfile", str(configfile), "--dry-run", "--quiet", "rules", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"Snakemake cannot plan {configfile}: {done.stderr.strip()}")
    counts = re.findall(r"^(\w+) +(\d+)$", done.stdout, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in counts if rule != "total"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config" / "config.yaml")
    configfile = parser.parse_args().configfile
    try:
        schema = ROOT / "workflow" / "schemas" / "config.schema.yaml"
        config = validated(yaml.safe_load(configfile.read_text()), schema)
        datasets = read_datasets(config)
        runs = expand_runs(config, datasets)
        with ThreadPoolExecutor() as both:
            every = both.submit(planned_jobs, configfile, "--forceall")
            to_do = both.submit(planned_jobs, configfile)
        jobs = every.result()
        cost = estimate(config, datasets, runs, jobs)
        print(f"Study '{config['name']}', {len(runs)} runs\n")
        print(render(jobs, to_do.result(), cost))
    except (OSError, UserError, yaml.YAMLError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
