"""What the project promises about its own files."""

import pytest
import yaml


def pins(lines):
    return dict(line.strip().split("==") for line in lines if "==" in line)


@pytest.fixture
def constraints(root):
    return pins((root / "constraints.txt").read_text().splitlines())


@pytest.mark.parametrize("environment", ["data", "torch", "report"])
def test_conda_environments_carry_the_pins(root, constraints, environment):
    content = yaml.safe_load((root / "envs" / f"{environment}.yaml").read_text())
    packages = pins(content["dependencies"][-1]["pip"])
    assert packages
    normal = {name.lower().replace("_", "-"): version for name, version in constraints.items()}
    assert packages == {name: normal.get(name) for name in packages}


def test_every_dependency_is_pinned(root, constraints):
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    normal = {name.lower().replace("_", "-") for name in constraints}
    extras = project["optional-dependencies"].values()
    for name in [*project["dependencies"], *(name for extra in extras for name in extra)]:
        assert name in normal
