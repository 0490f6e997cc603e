"""Whether this machine can run a study: one check a line, with what to do.

``python -m reg2st.tools.doctor --configfile config/config.yaml --profile workflow/profiles/slurm``

Packages that might be missing are imported where they are needed.
"""

import argparse
import fcntl
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from reg2st.base.errors import UserError
from reg2st.base.locking import NO_LOCKS
from reg2st.tools import ROOT

PROJECT = "reg2st-workflow"
SLURM_COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
SPARE_DISK = 1.2
"""Less free disk than the estimate times this is worth a warning."""


class Check(NamedTuple):
    """One finding: status ``ok``, ``warn`` or ``fail``, and what to do unless it is ``ok``."""

    name: str
    status: str
    message: str
    remedy: str

    def __str__(self) -> str:
        remedy = "" if self.status == "ok" else f"; to do: {self.remedy}"
        return f"{self.status:<4}  {self.name:<16}  {self.message}{remedy}"


def checks(configfiles: list[Path], profile: Path | None = None) -> Iterator[Check]:
    """What this machine has of what a study needs that runs in this folder.

    Args:
        profile: folder or file of the Snakemake profile that the study runs with.

    Raises:
        UserError: the profile cannot be read.
    """
    settings = read_profile(profile) if profile else {}
    yield check_python()
    yield (packages := check_packages())
    yield from map(check_folder, ("results", "logs", "resources"))
    if packages.status == "fail":
        return
    yield check_gpu()
    yield from check_study(configfiles)
    if settings.get("executor") == "slurm":
        yield from check_slurm(settings)


def check_python() -> Check:
    """The interpreter against what the project requires."""
    version, needed = platform.python_version(), importlib.metadata.metadata(PROJECT)
    status = "ok" if version in SpecifierSet(needed["Requires-Python"]) else "fail"
    message = f"{version} at {sys.executable}, {needed['Requires-Python']} is needed"
    return Check("python", status, message, "make PYTHON=<a newer python> setup")


def check_packages(constraints: Path = ROOT / "constraints.txt") -> Check:
    """Installed packages against the pins; only those that the project depends on must be there."""
    needed = map(Requirement, importlib.metadata.requires(PROJECT) or [])
    names = {each.name for each in needed if not each.marker or each.marker.evaluate()}
    text = constraints.read_text(encoding="utf-8") if constraints.exists() else ""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    pins = {pin.name: pin.specifier for pin in map(Requirement, filter(None, lines))}
    found = {name: _version(name) for name in names | pins.keys()}
    missing = sorted(name for name in names if not found[name])
    off = [
        f"{name} {found[name]} (pinned {pin})"
        for name, pin in sorted(pins.items())
        if found[name] and found[name] not in pin
    ]
    remedy = f"pip install -c {constraints} -e {constraints.parent}"
    if missing:
        return Check("packages", "fail", f"missing: {', '.join(missing)}", remedy)
    if not pins:
        return Check("packages", "warn", f"no pins in {constraints}", "restore it from git")
    message = f"other versions: {', '.join(off)}" if off else f"as pinned in {constraints}"
    return Check("packages", "warn" if off else "ok", message, remedy)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_gpu() -> Check:
    """The driver, its GPUs, and whether PyTorch can use them."""
    gpus = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    if not gpus:
        message = "no NVIDIA driver answers; networks train on the CPU"
        return Check("gpu", "warn", message, "nothing, if no GPU is meant to be used here")
    import torch

    status = "ok" if torch.cuda.is_available() else "fail"
    message = f"{'; '.join(gpus)}; torch {torch.__version__} for CUDA {torch.version.cuda}"
    return Check("gpu", status, message, "install a torch for this driver's CUDA (pytorch.org)")


def check_folder(name: str) -> Check:
    """Whether files of any name can be written and locked in a folder, which need not exist."""
    place = _nearest_existing(Path(name))
    try:
        with (
            tempfile.TemporaryDirectory(dir=place, prefix=".space and ü ") as folder,
            open(Path(folder) / "file", "wb") as file,
        ):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except UnicodeEncodeError as error:
        message = f"names beyond ASCII cannot be written ({error.encoding})"
        return Check(name, "fail", message, "export LC_ALL=C.UTF-8")
    except OSError as error:
        remedy = f"link {name}/ to another disk"
        if error.errno in NO_LOCKS:
            message = f"{place}: no file can be locked ({error.strerror}); marker files are used"
            return Check(name, "warn", message, f"nothing, or {remedy}")
        message = f"{place}: it cannot be written ({error.strerror})"
        return Check(name, "fail", message, f"change its permissions, or {remedy}")
    return Check(name, "ok", f"{place} can be written", "")


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.exists()).resolve()


def check_study(configfiles: list[Path]) -> Iterator[Check]:
    """Whether the configuration is right, the disk large enough and the weights within reach."""
    from reg2st.study.study import Study
    from reg2st.tools.estimate import megabytes_to_write, price
    from reg2st.tools.plan import plan
    from reg2st.tools.rates import shipped_rates

    try:
        config, jobs, rates = plan(configfiles)
        study = Study.read(config)
        yield Check("study", "ok", f"'{study.config.name}' has {len(study.runs)} runs", "")
        yield check_disk(megabytes_to_write(price(jobs, [*rates, *shipped_rates()])))
    except UserError as error:
        yield Check("study", "fail", str(error), "correct it; see docs/reference/config.md")
        return
    for weights in study.weights:
        yield check_weights(weights, Path(study.layout.weights(weights)))


def check_disk(needed: float) -> Check:
    """Free disk space against what the study will write, MB."""
    free = shutil.disk_usage(_nearest_existing(Path("results"))).free / 1e6
    status = "fail" if free < needed else "warn" if free < SPARE_DISK * needed else "ok"
    message = f"{free / 1000:.1f} GB free, about {needed / 1000:.1f} GB needed"
    return Check("disk", status, message, "free some, or link results/ to a larger disk")


def check_weights(weights: str, file: Path) -> Check:
    """Weights of an encoder: they are here or in a package, or the hub answers."""
    import requests

    from reg2st.features.encoders.efficientnet import PACKAGE, EfficientNetLite0

    name, remedy = f"weights {weights}", f"fetch {file} elsewhere and copy it here"
    if file.is_file():
        return Check(name, "ok", f"at {file}", remedy)
    if weights == EfficientNetLite0.weights:
        return Check(name, "ok", f"in the package {PACKAGE}", remedy)
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        requests.head(hub, timeout=10)
    except requests.RequestException as error:
        message = f"not at {file}, and {hub} does not answer ({type(error).__name__})"
        return Check(name, "fail", message, remedy)
    return Check(name, "ok", f"will be fetched; {hub} answers", remedy)


def check_slurm(profile: Mapping[str, Any]) -> Iterator[Check]:
    """Slurm's commands, its controller, the profile's partitions, and how job ends are known."""
    missing = [command for command in SLURM_COMMANDS if not shutil.which(command)]
    message = f"not found: {', '.join(missing)}" if missing else f"at {shutil.which('sbatch')}"
    remedy = "run on a login node, or without the Slurm profile"
    yield Check("slurm commands", "fail" if missing else "ok", message, remedy)
    if missing:
        return
    listed = _output("sinfo", "--noheader", "--format=%R %G") or []
    partitions = sorted({line.split()[0] for line in listed})
    message = f"answers; partitions {', '.join(partitions)}" if listed else "sinfo gets no answer"
    remedy = "ask for `scontrol ping`, and wait until the controller is up"
    yield Check("slurm controller", "ok" if listed else "fail", message, remedy)
    if not listed:
        return
    asked = [profile.get("default-resources", {}), *profile.get("set-resources", {}).values()]
    named = {str(each["slurm_partition"]) for each in asked if "slurm_partition" in each}
    for partition in sorted(named.difference(partitions)):
        message = f"the profile names partition '{partition}', which does not exist"
        yield Check("slurm partitions", "fail", message, f"name one of {', '.join(partitions)}")
    if not any("gpu" in line.split()[1] for line in listed):
        remedy = "ask the site how GPUs are requested; jobs that ask for gpu=1 will be refused"
        yield Check("slurm gpus", "fail", "no partition offers GPUs", remedy)
    accounts = _output("sacct", "--noheader", "--starttime=now") is not None
    known = accounts or profile.get("slurm-status-command") == "squeue"
    message = f"{'sacct' if accounts else 'squeue'} says how jobs ended" if known else "no sacct"
    remedy = "uncomment `slurm-status-command: squeue` in the profile"
    yield Check("slurm accounting", "ok" if known else "fail", message, remedy)


def _output(*command: str) -> list[str] | None:
    """The lines that a command prints; None if it is missing, fails or takes more than 30 s."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().splitlines()


def read_profile(profile: Path) -> dict[str, Any]:
    """The settings of a Snakemake profile, given as its folder or file.

    Raises:
        UserError: there is none, or it is no YAML.
    """
    file = next(profile.glob("config*.yaml"), profile / "config.yaml")
    try:
        return (
            yaml.safe_load((file if profile.is_dir() else profile).read_text(encoding="utf-8"))
            or {}
        )
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"The profile {profile} cannot be read: {error}.") from None


def main() -> None:
    """Print every check of a study; exits with 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reg2st.tools.doctor", description=__doc__)
    parser.add_argument("--configfile", nargs="+", type=Path, default=[ROOT / "config/config.yaml"])
    parser.add_argument("--profile", type=Path, help="folder of the Snakemake profile to run with")
    arguments = parser.parse_args()
    found = []
    try:
        for check in checks(arguments.configfile, arguments.profile):
            print(check, flush=True)
            found.append(check.status)
    except UserError as error:
        sys.exit(f"Error: {error}")
    sys.exit("fail" in found)


if __name__ == "__main__":
    main()
