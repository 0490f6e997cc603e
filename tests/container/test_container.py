"""The image of ``envs/Containerfile``, built for real on a base that debootstrap makes."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    os.environ.get("REG2ST_TEST_CONTAINER") != "1",
    reason="needs root, Debian's packages and minutes; run by `make test-container`",
)

PROGRAMS = ("buildah", "crun", "debootstrap")
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
BASE, IMAGE = "reg2st-test-base", "reg2st-test"
OF_THIS_MACHINE = ("/etc/pip.conf", "/etc/xdg/pip")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a command; what it wrote to standard output."""
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def volumes() -> list[str]:
    """Options that show pip inside the image the package sources of outside."""
    configured = run("python3", "-m", "pip", "config", "list")
    sources = re.findall(r"(?:file://)?(/[^\s'\"]+)", configured)
    paths = {path for path in (*OF_THIS_MACHINE, *sources) if Path(path).exists()}
    paths.discard(str(CERTIFICATES))  # the image makes its own
    return [f"--volume={path}:{path}:ro" for path in sorted(paths)]


@pytest.fixture(scope="module")
def container(root, volumes, tmp_path_factory):
    """A working container of the image, removed with its images at the end."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)
    base = tmp_path_factory.mktemp("base")
    run("debootstrap", "--variant=minbase", SUITE, base / "root", MIRROR)
    if CERTIFICATES.exists():
        # Where Debian looks for certificates to add, such as those of a proxy.
        added = base / "root/usr/local/share/ca-certificates"
        added.mkdir(parents=True, exist_ok=True)
        shutil.copy(CERTIFICATES, added / "outside.crt")
    run("tar", "-C", base / "root", "--exclude=./dev/*", "-cf", base / "base.tar", ".")
    clone = base / "clone"
    run("git", "clone", "--quiet", root, clone)
    empty = run("buildah", "from", "scratch")
    try:
        run("buildah", "add", empty, base / "base.tar", "/")
        run("buildah", "commit", "--quiet", empty, BASE)
        run(
            *("buildah", "build", "--isolation=chroot", "--network=host", *volumes),
            *("--build-arg", f"BASE=localhost/{BASE}", "--file", "envs/Containerfile"),
            *("--tag", IMAGE, "."),
            folder=clone,
        )
        working = run("buildah", "from", IMAGE)
        yield working
        run("buildah", "rm", working)
    finally:
        run("buildah", "rm", empty)
        for image in (IMAGE, BASE):
            subprocess.run(["buildah", "rmi", "--force", image], capture_output=True)


def test_the_image_runs_a_part_of_the_demo(container, tmp_path):
    image = json.loads(run("buildah", "inspect", "--type=image", IMAGE))["OCIv1"]["config"]
    entry, place = image["Entrypoint"], image["WorkingDir"]
    target = "results/demo/features/mean_grey/native/simulated/A1.h5"
    run(
        *("buildah", "run", "--isolation=chroot", f"--volume={tmp_path}:{place}"),
        *(container, "--", *entry, target, "--cores", "1"),
        *("--configfile", "/opt/reg2st/config/demo.yaml"),
    )
    assert (tmp_path / target).stat().st_size > 0
