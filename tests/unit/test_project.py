"""What the project promises about its own files."""

import re
import tomllib
from importlib.metadata import distributions

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from reg2st import __version__
from reg2st.models.registry import METHODS

WITHOUT_A_PAPER = {"train_mean", "brightness", "ridge", "sister_section", "sprig"}


def pins(lines):
    return dict(line.strip().split("==") for line in lines if "==" in line)


@pytest.fixture
def constraints(root):
    return pins((root / "constraints.txt").read_text().splitlines())


@pytest.mark.parametrize("environment", ["data", "torch", "report", "spatialdata"])
def test_conda_environments_carry_the_pins(root, constraints, environment):
    content = yaml.safe_load((root / "envs" / f"{environment}.yaml").read_text())
    packages = pins(content["dependencies"][-1]["pip"])
    assert packages
    normal = {name.lower().replace("_", "-"): version for name, version in constraints.items()}
    assert packages == {name: normal.get(name) for name in packages}


def test_every_dependency_is_pinned(root, constraints):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    normal = {name.lower().replace("_", "-") for name in constraints}
    extras = project["optional-dependencies"].values()
    for name in [*project["dependencies"], *(name for extra in extras for name in extra)]:
        assert name in normal


def test_every_pin_runs_on_the_oldest_python_that_is_promised(root, constraints):
    """Debian 12 has Python 3.11.2, so a package for 3.11.5 cannot be installed there."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    needed = {each.name: each.metadata.get("Requires-Python") or "" for each in distributions()}
    too_new = {
        name: needs
        for name, needs in needed.items()
        if not SpecifierSet(needs).contains(oldest) and name in constraints
    }
    assert too_new == {}


def test_the_version_follows_the_changelog(root):
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## ([\d.]+) \((\d{4}-\d\d-\d\d)\)$", changelog, re.M)
    version, date = versions[0]
    numbers = [tuple(map(int, each.split("."))) for each, _ in versions]
    assert numbers == sorted(set(numbers), reverse=True)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == __version__ == citation["version"] == version
    assert str(citation["date-released"]) == date
    assert citation["license"] == project["license"]


def test_every_published_method_has_its_paper(root):
    entries = (root / "docs" / "references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{(\w+),$", entries, re.M)
    assert len(keys) == len(set(keys))
    assert METHODS.keys() - WITHOUT_A_PAPER <= set(keys)
    assert entries.count("{") == entries.count("}")


def test_jobs_of_the_hosting_service_run_targets_of_make(root):
    """They cannot run here; CI runs the same targets."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    run = {}
    for path in (root / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow[True] == ["push", "pull_request"]  # YAML reads the key `on` as true
        (job,) = workflow["jobs"].values()
        lines = [step["run"] for step in job["steps"] if "run" in step]
        run[path.stem] = [line.removeprefix("make ") for line in lines if line.startswith("make ")]
        assert all(line.startswith(("make ", "sudo apt-get ")) for line in lines)
        assert all(re.search(rf"^{target}:", makefile, re.M) for target in run[path.stem])
        if path.stem == "tests":
            pythons = job["strategy"]["matrix"]["python"]
    assert run == {
        "lint": ["lint"],
        "tests": ["test", "test-catalog"],
        "demo": ["demo"],
        "docs": ["docs"],
    }
    assert len(pythons) == 2
    assert all(isinstance(each, str) for each in pythons), "3.10 without quotes is 3.1"


def test_hooks_before_a_commit_are_pinned_tools(root, constraints):
    (local,) = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())["repos"]
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in local["hooks"]}
    assert tools - {"python"} <= constraints.keys()
    lint = (root / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    assert all(f"$(BIN)/{tool}" in lint for tool in tools - {"python"})


def test_forms_are_read_by_the_hosting_service(root):
    forms = [*(root / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.stem == "config":
            continue
        assert {"name", "description", "body"} <= form.keys()
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert len({field["id"] for field in fields}) == len(fields)
        assert all(field["attributes"]["label"] for field in fields)
    assert len(forms) > 2
