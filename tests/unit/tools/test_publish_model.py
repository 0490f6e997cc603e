"""A model folder goes to a hub on loopback and comes back, with the hub's own client."""

import os
import subprocess
import sys

import pytest

from hub import Hub
from reg2st.models.model_folder import NEEDED

FETCH = """
import sys
from pathlib import Path
from reg2st.base.errors import UserError
from reg2st.models.hub_models import fetch_model
try:
    fetch_model(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
except UserError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def model(fitted):
    return fitted / "model"


@pytest.fixture
def run(root, tmp_path):
    """Run a program as a user who is logged in at a hub."""

    def ran(hub: Hub, *arguments: object, **names: str) -> subprocess.CompletedProcess:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "hub"),
            "HF_TOKEN": "hf_test",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(root / "src"),
            **names,
        }
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return ran


def test_a_model_is_published_after_its_licences_and_comes_back(run, root, model, tmp_path):
    publish = (root / "scripts" / "publish_model.py", model, "lab/sprig")
    with Hub({}) as hub:
        asked = run(hub, *publish)
        assert asked.returncode == 0, asked.stderr
        assert "data simulated: CC0" in asked.stdout
        assert "encoder efficientnet_lite0: Apache-2.0" in asked.stdout
        assert "Nothing was published" in asked.stdout
        assert hub.repositories == {}
        done = run(hub, *publish, "--yes")
        assert done.returncode == 0, done.stderr
        commit = hub.commits["lab/sprig"]
        assert f"hf:lab/sprig@{commit}" in done.stdout
        sent = {path.name: path.read_bytes() for path in model.iterdir()}
        assert hub.repositories["lab/sprig"] == sent

        fetched = (tmp_path / "fetched", tmp_path / "lock.json")
        back = run(hub, "-c", FETCH, f"lab--sprig@{commit}", *fetched)
        assert (back.returncode, back.stdout) == (0, ""), back.stderr
        for name in NEEDED:
            assert (tmp_path / "fetched" / name).read_bytes() == sent[name]
        hub.repositories["lab/sprig"]["model.safetensors"] = b"another"
    offline = run(hub, "-c", FETCH, f"lab--sprig@{commit}", *fetched, HF_HUB_OFFLINE="1")
    assert offline.stdout == "", "all is in the cache"
    elsewhere = (tmp_path / "other", tmp_path / "other.json")
    lost = run(hub, "-c", FETCH, "lab--other@v1", *elsewhere)
    assert "not in the cache" in lost.stdout
    assert "the hub cannot be reached" in lost.stdout


def test_a_hub_that_is_off_or_a_folder_that_is_none_is_one_sentence(run, root, model, tmp_path):
    with Hub({}) as hub:
        pass
    publish = root / "scripts" / "publish_model.py"
    done = run(hub, publish, model, "lab/sprig", "--yes")
    assert done.returncode == 1
    assert "did not take lab/sprig" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    none = run(hub, publish, tmp_path, "lab/sprig", "--yes")
    assert none.returncode == 1
    assert "is no model folder" in none.stderr
