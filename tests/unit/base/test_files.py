import os
import stat
import subprocess
import sys
import time

import pytest

from reg2st.base.files import HOST, written_whole

KILLED = """
import os, signal, sys
from reg2st.base.files import written_whole
with written_whole(sys.argv[1]) as temporary:
    temporary.write_text("half")
    temporary.with_name(".tmp of a library").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_is_replaced_when_it_is_whole(tmp_path):
    path = tmp_path / "scores.tsv"
    path.write_text("old")
    with written_whole(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".tsv"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["scores.tsv"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "scores.tsv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), written_whole(path) as temporary:
        temporary.write_text("half \ud800")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["scores.tsv"]


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path):
    path = tmp_path / "scores.tsv"
    killed = subprocess.run([sys.executable, "-c", KILLED, path])
    assert killed.returncode == -9
    assert len(os.listdir(tmp_path)) == 1
    assert not path.exists()
    with written_whole(path) as temporary:
        temporary.write_text("new")
    assert os.listdir(tmp_path) == ["scores.tsv"]


def test_what_others_write_stays(tmp_path):
    alive = tmp_path / f".{HOST}.{os.getppid()}.scores.tsv"
    elsewhere = tmp_path / ".node7.1.scores.tsv"
    silent = tmp_path / ".node8.1.scores.tsv"
    another = tmp_path / f".{HOST}.999999999.genes.tsv"
    for folder in (alive, elsewhere, silent, another):
        folder.mkdir()
        (folder / "scores.tsv").write_text("half")
    for path in (silent, silent / "scores.tsv"):
        os.utime(path, times=(0, time.time() - 7200))
    with written_whole(tmp_path / "scores.tsv") as temporary:
        temporary.write_text("new")
    assert alive.exists()
    assert elsewhere.exists()
    assert another.exists()
    assert not silent.exists()


def test_others_may_read_it_as_far_as_the_umask_allows(tmp_path):
    path = tmp_path / "model.safetensors"
    with written_whole(path) as temporary:
        temporary.touch(mode=0o600)
    (tmp_path / "usual").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)
