"""The workflow where others use it: as a module, deployed, from elsewhere, under awkward paths."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

CONFIG = {
    "name": "small",
    "datasets": {
        "simulated": {
            "source": {"simulation": {"patients": 2, "sections_per_patient": 1, "spots": 30}},
            "panel": {"recipe": {"variable_genes": 20, "min_spots": 5}},
            "folds": {"section_out": ["A1"]},
        }
    },
    "splits": ["section_out"],
    "methods": {"train_mean": {}},
}
SECTION = "results/small/sections/simulated/A1.h5ad"
SCORES = "results/small/scores/simulated.parquet"
SOURCES = ("workflow", "scripts", "src", "envs", "resources/published", "config")


def run(folder: Path, *arguments: str, python: str | Path = sys.executable, **environment: str):
    """Run Snakemake in a folder as a user would who did not set ``PYTHONPATH``."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-m", "snakemake", "--cores", "2", "--show-failed-logs", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, "OMP_NUM_THREADS": "1", **environment},
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def copy_of_sources(root: Path, place: Path) -> Path:
    for name in SOURCES:
        shutil.copytree(
            root / name, place / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    return place


def write_config(file: Path, **changes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({**CONFIG, **changes}))
    return file


@pytest.fixture
def importing(root, tmp_path):
    """A workflow with a config of its own that uses this one under a prefix."""
    write_config(tmp_path / "histology.yaml")
    (tmp_path / "Snakefile").write_text(
        f"""
import yaml

configfile: "own.yaml"

module reg2st:
    snakefile: "{root}/workflow/Snakefile"
    prefix: "histology"
    config: yaml.safe_load(open("histology.yaml"))

use rule * from reg2st as reg2st_*

rule count:
    default_target: True
    input: "histology/{SCORES}"
    output: config["output"]
    shell: "wc -c {{input}} > {{output}}"
"""
    )
    (tmp_path / "own.yaml").write_text("output: counted.txt\n")
    return tmp_path


def test_as_a_module_with_a_prefix_and_a_config(importing):
    output = run(importing)
    assert (importing / "counted.txt").read_text().strip()
    made = {path.name for path in importing.iterdir()}
    assert not made & {"results", "logs"}, "everything lies under the prefix"
    assert (importing / "histology" / "logs" / "small").is_dir()
    assert "localrules directive specifies rules that are not present" not in output
    assert "Nothing to be done" in run(importing)


def test_a_module_is_planned_as_a_whole(importing):
    output = run(importing, "reg2st_all", "--dry-run")
    assert "reg2st_tabulate" in output


def test_files_that_the_config_names_stay_where_they_are(importing):
    (importing / "genes.txt").write_text("GENE1\n")
    dataset = {**CONFIG["datasets"]["simulated"], "panel": {"file": "genes.txt"}}
    write_config(importing / "histology.yaml", datasets={"simulated": dataset})
    run(importing, "--dry-run", "--quiet", "rules")


def test_deployed_from_a_git_host(root, tmp_path):
    """As ``snakedeploy deploy-workflow`` leaves it; git takes a local folder for the host."""
    repository = copy_of_sources(root, tmp_path / "host" / "someone" / "reg2st-workflow")
    git = ("git", "-c", "user.name=someone", "-c", "user.email=someone@localhost")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "A release"]):
        subprocess.run([*git, *command], cwd=repository, check=True)
    subprocess.run([*git, "tag", "v1.0.0"], cwd=repository, check=True)
    deployed = tmp_path / "deployed"
    shutil.copytree(root / "config", deployed / "config")
    write_config(deployed / "config" / "config.yaml")
    (deployed / "workflow").mkdir()
    (deployed / "workflow" / "Snakefile").write_text(
        """
configfile: "config/config.yaml"

module reg2st_workflow:
    snakefile:
        github("someone/reg2st-workflow", path="workflow/Snakefile", tag="v1.0.0")
    config:
        config

use rule * from reg2st_workflow
"""
    )
    host = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/host/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "GITHUB_TOKEN": "",
    }
    run(deployed, "--dry-run", "--quiet", "rules", **host)
    run(deployed, SECTION, **host)
    assert (deployed / SECTION).is_file()
    assert list((tmp_path / "cache").rglob("src/reg2st/sections/section_file.py"))


def test_from_another_directory(root, tmp_path):
    write_config(tmp_path / "study" / "config" / "config.yaml")
    (tmp_path / "elsewhere").mkdir()
    snakefile = os.path.relpath(root / "workflow" / "Snakefile", tmp_path / "elsewhere")
    study = ("--snakefile", snakefile, "--directory", "../study")
    run(tmp_path / "elsewhere", *study, "--dry-run", "--quiet", "rules")


def test_paths_with_spaces_letters_beyond_ascii_and_a_link(root, tmp_path):
    """The repository, its interpreter, the study, and results on another disk."""
    home = tmp_path / "Größe & µm (neu)"
    copy_of_sources(root, home / "reg2st")
    venv.create(home / ".venv", symlinks=True)
    python = home / ".venv" / "bin" / "python"
    libraries = next((home / ".venv").glob("lib/python*/site-packages"))
    parent = next(path for path in sys.path if path.endswith("site-packages"))
    (libraries / "parent.pth").write_text(f"{parent}\n")
    study, disk = home / "study", home / "other disk"
    write_config(study / "config" / "config.yaml")
    disk.mkdir()
    (study / "results").symlink_to(disk)
    target = (SECTION, "--snakefile", str(home / "reg2st" / "workflow" / "Snakefile"))
    run(study, *target, python=python)
    assert (disk / "small" / "sections" / "simulated" / "A1.h5ad").is_file()
    assert "Nothing to be done" in run(study, *target, python=python)


def test_the_catalogs_study_is_planned(root, tmp_path):
    shutil.copytree(root / ".test" / "config", tmp_path / "config")
    run(root, "--directory", str(tmp_path), "--dry-run", "--quiet", "rules")
