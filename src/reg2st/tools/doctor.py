"""Whether this machine can run a study: one check a line, with what to do.

``python -m reg2st.tools.doctor --configfile config/config.yaml --profile workflow/profiles/slurm``
"""

import argparse
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from reg2st.base.errors import UserError

PROJECT = "reg2st-workflow"
ROOT = Path(__file__).resolve().parents[3]
SLURM_COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
SPARE_DISK = 1.2
"""Free disk space below the estimate times this is warned of."""


@dataclass(frozen=True)
class Check:
    """One finding; ``remedy`` says what to do and is empty when all is well."""

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str
    remedy: str = ""


def checks(
    config: Mapping[str, Any],
    *,
    folder: Path = Path(),
    constraints: Path = ROOT / "constraints.txt",
    profile: Path | None = None,
    disk_bytes: int | None = None,
) -> list[Check]:
    """What this machine has of what a study needs.

    Args:
        config: the validated configuration.
        folder: where the workflow runs; results, logs and weights are below it.
        constraints: the pinned versions.
        profile: folder or file of the Snakemake profile that the study runs with.
        disk_bytes: estimate of what the study will write.
    """
    settings = _read_profile(profile)
    found = [
        check_python(),
        check_packages(constraints),
        check_gpu(),
        *check_folders(folder),
        check_disk(folder, disk_bytes),
        *check_study(config, folder),
    ]
    if settings.get("executor") == "slurm":
        found += check_slurm(settings)
    return found


def check_python() -> Check:
    """The interpreter against what the project requires."""
    wanted = importlib.metadata.metadata(PROJECT)["Requires-Python"]
    version = platform.python_version()
    if version in SpecifierSet(wanted):
        return Check("python", "ok", f"{version} at {sys.executable}")
    return Check(
        "python", "fail", f"{version}, wanted {wanted}", "make PYTHON=<a newer python> setup"
    )


def check_packages(constraints: Path) -> Check:
    """Installed packages against the pins; only those that the project depends on must be there."""
    required = _dependencies()
    missing = sorted(name for name in required if _version(name) is None)
    if missing:
        return Check("packages", "fail", f"missing: {', '.join(missing)}", _install(constraints))
    if not constraints.is_file():
        return Check("packages", "warn", f"{constraints} is not there", "restore it from git")
    pins = _pins(constraints)
    off = [
        f"{name} {found} (pinned {pins[name]})"
        for name in sorted(pins)
        if (found := _version(name)) is not None and found not in SpecifierSet(f"=={pins[name]}")
    ]
    if off:
        return Check("packages", "warn", f"other versions: {', '.join(off)}", _install(constraints))
    return Check("packages", "ok", f"{len(required)} packages as pinned in {constraints.name}")


def _dependencies() -> list[str]:
    requirements = map(Requirement, importlib.metadata.requires(PROJECT) or [])
    return [each.name for each in requirements if each.marker is None or each.marker.evaluate()]


def _pins(constraints: Path) -> dict[str, str]:
    lines = (line.split("#")[0].strip() for line in constraints.read_text().splitlines())
    return dict(line.split("==") for line in lines if "==" in line)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _install(constraints: Path) -> str:
    return f"pip install -c {constraints} -e {constraints.parent}"


def check_gpu() -> Check:
    """The driver, its GPUs, and whether PyTorch can use them."""
    listed = _run("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    if listed is None or listed.returncode:
        message = "no NVIDIA driver answers; networks train on the CPU"
        return Check("gpu", "warn", message, "nothing, if no GPU is meant to be used here")
    import torch

    gpus = "; ".join(listed.stdout.strip().splitlines())
    if torch.version.cuda is None:
        remedy = "install the CUDA build of the pinned torch (pytorch.org, Get Started)"
        return Check("gpu", "fail", f"{gpus}, but torch {torch.__version__} is for CPUs", remedy)
    if not torch.cuda.is_available():
        remedy = f"update the driver to one for CUDA {torch.version.cuda}, and see nvidia-smi"
        return Check("gpu", "fail", f"{gpus}, but torch {torch.__version__} sees none", remedy)
    return Check("gpu", "ok", f"{gpus}, CUDA {torch.version.cuda}")


def check_folders(folder: Path) -> Iterator[Check]:
    """Whether the folders that the workflow writes to can be written."""
    for name in ("results", "logs", "resources"):
        existing = _nearest_existing(folder / name)
        try:
            with tempfile.TemporaryFile(dir=existing):
                yield Check(name, "ok", f"{existing.resolve()} can be written")
        except OSError as error:
            message = f"{existing.resolve()} cannot be written: {error.strerror}"
            yield Check(name, "fail", message, "change its permissions or run in another folder")


def check_disk(folder: Path, needed: int | None) -> Check:
    """Free disk space against an estimate."""
    free = shutil.disk_usage(_nearest_existing(folder / "results")).free
    if needed is None:
        return Check("disk", "ok", f"{_gigabytes(free)} free")
    message = f"{_gigabytes(free)} free, about {_gigabytes(needed)} needed"
    if free < needed:
        return Check("disk", "fail", message, "free some, or link results/ to a larger disk")
    if free < SPARE_DISK * needed:
        return Check("disk", "warn", message, "free some: estimates may be off by a fifth")
    return Check("disk", "ok", message)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def check_study(config: Mapping[str, Any], folder: Path) -> Iterator[Check]:
    """Whether the configuration makes runs, and the weights that they need."""
    from reg2st.study.config import read_datasets
    from reg2st.study.runs import expand_runs

    try:
        runs = expand_runs(dict(config), read_datasets(dict(config)))
    except UserError as error:
        yield Check("config", "fail", str(error))
        return
    yield Check("config", "ok", f"study '{config['name']}' has {len(runs)} runs")
    for encoder in sorted({embedding.encoder for run in runs for embedding in run.embeddings}):
        yield from check_weights(encoder, folder)


def check_weights(name: str, folder: Path) -> Iterator[Check]:
    """An encoder's weights, if it has any: they are here or in a package, or the hub answers."""
    from reg2st.features.encoders import efficientnet, encoder, path_name

    weights = encoder(name).weights
    if weights is None:
        return
    file = folder / "resources" / "weights" / f"{path_name(weights)}.safetensors"
    if file.is_file():
        yield Check(f"weights of {name}", "ok", f"at {file}")
    elif weights == efficientnet.EfficientNetLite0.weights:
        yield Check(f"weights of {name}", "ok", f"in the package {efficientnet.PACKAGE}")
    else:
        yield _check_hub(f"weights of {name}", file)


def _check_hub(name: str, file: Path) -> Check:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=10):
            pass
    except urllib.error.HTTPError:
        pass  # it answered
    except OSError as error:
        reason = getattr(error, "reason", error)
        message = f"not at {file}, and {endpoint} does not answer ({reason})"
        remedy = f"fetch {file} on a machine with a network and copy it here"
        return Check(name, "fail", message, remedy)
    return Check(name, "ok", f"will be fetched; {endpoint} answers")


def check_slurm(profile: Mapping[str, Any]) -> Iterator[Check]:
    """Slurm's commands, its controller, the profile's partitions, and how job ends are learnt."""
    missing = [command for command in SLURM_COMMANDS if shutil.which(command) is None]
    if missing:
        remedy = "run on a login node, or without the Slurm profile"
        yield Check("slurm commands", "fail", f"not found: {', '.join(missing)}", remedy)
        return
    yield Check("slurm commands", "ok", f"at {Path(shutil.which('sbatch')).parent}")

    listed = _run("sinfo", "--noheader", "--format=%R %G")
    if listed is None or listed.returncode:
        remedy = "ask for `scontrol ping`, and wait until the controller is up"
        yield Check("slurm controller", "fail", "sinfo gets no answer", remedy)
        return
    gpus = dict.fromkeys((line.split()[0] for line in listed.stdout.splitlines()), False)
    for line in listed.stdout.splitlines():
        gpus[line.split()[0]] |= "gpu" in line.split()[1]
    yield Check("slurm controller", "ok", f"answers; partitions {', '.join(gpus)}")

    for partition in sorted(_partitions(profile) - gpus.keys()):
        message = f"the profile names partition '{partition}', which does not exist"
        yield Check("slurm partitions", "fail", message, f"name one of {', '.join(gpus)}")
    if not any(gpus.values()):
        remedy = "ask the site how GPUs are requested; jobs that ask for gpu=1 will be refused"
        yield Check("slurm gpus", "fail", "no partition offers GPUs", remedy)
    yield _check_job_records(profile)


def _partitions(profile: Mapping[str, Any]) -> set[str]:
    named = [profile.get("default-resources", {}), *profile.get("set-resources", {}).values()]
    return {str(each["slurm_partition"]) for each in named if "slurm_partition" in each}


def _check_job_records(profile: Mapping[str, Any]) -> Check:
    accounting = _run("sacct", "--noheader", "--starttime=now")
    if accounting is not None and accounting.returncode == 0:
        return Check("slurm accounting", "ok", "sacct tells how jobs ended")
    if profile.get("slurm-status-command") == "squeue":
        return Check("slurm accounting", "ok", "none; squeue tells how jobs ended")
    remedy = "uncomment `slurm-status-command: squeue` in the profile"
    return Check("slurm accounting", "fail", "sacct does not work here", remedy)


def _read_profile(profile: Path | None) -> dict[str, Any]:
    if profile is None:
        return {}
    file = profile
    if profile.is_dir():
        file = next(iter(sorted(profile.glob("config*.yaml"))), profile / "config.yaml")
    try:
        return yaml.safe_load(file.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"The profile {file} cannot be read: {error}.") from None


def _run(*command: str) -> subprocess.CompletedProcess | None:
    """A command's outcome; None if it is not there or does not end within 30 s."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None


def render(found: Iterable[Check]) -> str:
    """The checks as text, one line each."""
    found = list(found)
    width = max(len(check.name) for check in found)
    return "\n".join(
        f"{check.status:<4}  {check.name:<{width}}  {check.message}"
        + (f"; to do: {check.remedy}" if check.remedy else "")
        for check in found
    )


def _disk_bytes(config: dict[str, Any]) -> int | None:
    """An estimate of what a study keeps on the disk; None if the study is wrong."""
    from reg2st.study.config import read_datasets
    from reg2st.study.runs import expand_runs
    from reg2st.tools.estimate import estimate

    try:
        datasets = read_datasets(config)
        cost = estimate(config, datasets, expand_runs(config, datasets), jobs={})
    except UserError:
        return None
    return round(sum(cost.disk_bytes.values()))


def main() -> None:
    """Print every check of a study; exits with 1 if one fails."""
    from reg2st.study.config import validated

    parser = argparse.ArgumentParser(prog="python -m reg2st.tools.doctor", description=__doc__)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config" / "config.yaml")
    parser.add_argument("--profile", type=Path, help="folder of the Snakemake profile to run with")
    arguments = parser.parse_args()
    schema = ROOT / "workflow" / "schemas" / "config.schema.yaml"
    try:
        config = validated(yaml.safe_load(arguments.configfile.read_text()), schema)
        found = checks(config, profile=arguments.profile, disk_bytes=_disk_bytes(config))
    except (OSError, UserError, yaml.YAMLError) as error:
        sys.exit(f"Error: {error}")
    print(render(found))
    sys.exit(any(check.status == "fail" for check in found))


if __name__ == "__main__":
    main()
