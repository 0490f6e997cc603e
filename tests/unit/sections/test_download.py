"""Downloads from a real server on loopback that misbehaves."""

import csv
import gzip
import hashlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from reg2st.base.errors import UserError
from reg2st.sections.sources.checksums import COLUMNS, read_lock
from reg2st.sections.sources.download import download
from reg2st.study.dataset_config import UrlSource
from servers import FileServer

COUNTS = gzip.compress(b"\tFASN\tERBB2\n10x10\t3\t0\n" * 2000, mtime=0)
IMAGE = bytes(range(256)) * 20000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FileServer({"A1.tsv.gz": COUNTS, "images/A1.jpg": IMAGE}) as server:
        yield server


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def the_sentence(caught: pytest.ExceptionInfo) -> str:
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize(("path", "data"), [("A1.tsv.gz", COUNTS), ("images/A1.jpg", IMAGE)])
def test_a_file_arrives_whole_and_alone(server, tmp_path, path, data):
    target = tmp_path / "raw" / path
    download(server.url(path), target, sha256=sha256(data))
    assert target.read_bytes() == data
    assert everything_below(tmp_path) == {f"raw/{path}"}


def test_redirects_are_followed(server, tmp_path):
    server.redirects = {"latest": "archive", "archive": "A1.tsv.gz"}
    download(server.url("latest"), tmp_path / "A1.tsv.gz")
    assert (tmp_path / "A1.tsv.gz").read_bytes() == COUNTS
    assert server.requested == ["latest", "archive", "A1.tsv.gz"]


def test_redirects_in_a_circle_are_one_sentence(server, tmp_path):
    server.redirects = {"here": "there", "there": "here"}
    with pytest.raises(UserError, match="redirects") as caught:
        download(server.url("here"), tmp_path / "A1.tsv.gz")
    the_sentence(caught)
    assert everything_below(tmp_path) == set()


def test_a_server_that_fails_twice_is_asked_again(server, tmp_path):
    server.errors = [500, 500]
    download(server.url("A1.tsv.gz"), tmp_path / "A1.tsv.gz", sha256=sha256(COUNTS))
    assert (tmp_path / "A1.tsv.gz").read_bytes() == COUNTS
    assert len(server.requested) == 3


def test_a_cut_connection_is_tried_again_from_the_start(server, tmp_path):
    server.cuts = 1
    download(server.url("images/A1.jpg"), tmp_path / "A1.jpg")
    assert (tmp_path / "A1.jpg").read_bytes() == IMAGE
    assert len(server.requested) == 2


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"cuts": 9}, "could not be downloaded in 2 attempts: the connection was cut"),
        ({"errors": [503] * 9}, r"in 2 attempts: the server answered 503 \(Service Unavailable\)"),
    ],
)
def test_a_fault_that_stays_is_one_sentence_and_leaves_the_old_file(server, tmp_path, fault, cause):
    target, lock = tmp_path / "A1.jpg", tmp_path / "lock.tsv"
    target.write_bytes(b"old")
    for switch, value in fault.items():
        setattr(server, switch, value)
    with pytest.raises(UserError, match=cause) as caught:
        download(server.url("images/A1.jpg"), target, lock=lock, retries=1)
    assert server.url("images/A1.jpg") in the_sentence(caught)
    assert target.read_bytes() == b"old"
    assert everything_below(tmp_path) == {"A1.jpg"}


def test_a_missing_file_is_not_asked_for_again(server, tmp_path):
    with pytest.raises(UserError, match=r"the server answered 404 \(Not Found\)") as caught:
        download(server.url("A9.tsv.gz"), tmp_path / "A9.tsv.gz", lock=tmp_path / "lock.tsv")
    assert "`root`" in the_sentence(caught)
    assert server.requested == ["A9.tsv.gz"]
    assert everything_below(tmp_path) == set()


def test_no_network_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FileServer({}) as server:
        url = server.url("A1.tsv.gz")
    with pytest.raises(UserError, match="1 attempt: the server cannot be reached") as caught:
        download(url, tmp_path / "A1.tsv.gz", retries=0)
    the_sentence(caught)
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("url", ["A1.tsv.gz", "gopher://127.0.0.1/A1.tsv.gz", "http://"])
def test_an_address_that_is_none_is_one_sentence(tmp_path, url):
    with pytest.raises(UserError, match="correct the address") as caught:
        download(url, tmp_path / "A1.tsv.gz")
    the_sentence(caught)


@pytest.mark.parametrize(
    ("body", "what"), [(b"\n<!DOCTYPE html><title>Sign in</title>", "a web page"), (b"", "nothing")]
)
def test_a_web_page_or_nothing_in_place_of_a_file_is_never_recorded(server, tmp_path, body, what):
    server.files["A1.tsv.gz"] = body
    with pytest.raises(UserError, match=f"answered with {what} instead of A1.tsv.gz") as caught:
        download(server.url("A1.tsv.gz"), tmp_path / "A1.tsv.gz", lock=tmp_path / "lock.tsv")
    the_sentence(caught)
    assert everything_below(tmp_path) == set()


def test_gzip_files_stay_gzip_when_the_server_calls_it_an_encoding(server, tmp_path):
    server.headers["A1.tsv.gz"] = {"Content-Encoding": "gzip"}
    download(server.url("A1.tsv.gz"), tmp_path / "A1.tsv.gz", sha256=sha256(COUNTS))
    assert (tmp_path / "A1.tsv.gz").read_bytes() == COUNTS


def test_plain_files_that_the_server_encodes_arrive_plain(server, tmp_path):
    server.headers["A1.tsv.gz"] = {"Content-Encoding": "gzip"}
    download(server.url("A1.tsv.gz"), tmp_path / "A1.tsv")
    assert (tmp_path / "A1.tsv").read_bytes() == gzip.decompress(COUNTS)


def test_a_published_checksum_that_differs_is_refused(server, tmp_path):
    target = tmp_path / "A1.tsv.gz"
    with pytest.raises(UserError) as caught:
        download(server.url("A1.tsv.gz"), target, sha256=sha256(b"other"))
    sentence = the_sentence(caught)
    for part in (str(target), sha256(b"other"), sha256(COUNTS), "run again"):
        assert part in sentence
    assert everything_below(tmp_path) == set()


def test_the_first_checksum_seen_is_recorded(server, tmp_path):
    target, lock = tmp_path / "raw" / "her2st" / "A1.tsv.gz", tmp_path / "locks" / "her2st.tsv"
    download(server.url("A1.tsv.gz"), target, lock=lock)
    with open(lock, newline="") as handle:
        header, row = csv.reader(handle, delimiter="\t")
    assert header == COLUMNS == ["file", "sha256", "bytes", "url", "first_seen"]
    assert row[:4] == [
        "raw/her2st/A1.tsv.gz",
        sha256(COUNTS),
        str(len(COUNTS)),
        server.url("A1.tsv.gz"),
    ]
    assert abs((datetime.now(UTC).date() - datetime.fromisoformat(row[4]).date()).days) <= 1
    assert everything_below(tmp_path) == {"raw/her2st/A1.tsv.gz", "locks/her2st.tsv"}


def test_later_downloads_must_match_the_recorded_checksum(server, tmp_path):
    target, lock = tmp_path / "raw" / "A1.tsv.gz", tmp_path / "locks" / "her2st.tsv"
    download(server.url("A1.tsv.gz"), target, lock=lock)
    recorded = lock.read_bytes()
    target.unlink()
    download(server.url("A1.tsv.gz"), target, lock=lock)
    assert target.read_bytes() == COUNTS
    target.unlink()

    server.files["A1.tsv.gz"] = b"\x1f\x8bsomething else"
    with pytest.raises(UserError) as caught:
        download(server.url("A1.tsv.gz"), target, lock=lock)
    sentence = the_sentence(caught)
    for part in (str(target), str(lock), sha256(COUNTS), sha256(b"\x1f\x8bsomething else")):
        assert part in sentence
    assert "delete its line" in sentence
    assert not target.exists()
    assert lock.read_bytes() == recorded


def test_a_lock_file_holds_after_its_project_moved(server, tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    monkeypatch.chdir(here)
    download(server.url("A1.tsv.gz"), "raw/A1.tsv.gz", lock="locks/her2st.tsv")
    here.rename(there)
    server.files["A1.tsv.gz"] = b"\x1f\x8bsomething else"
    with pytest.raises(UserError, match="was not kept"):
        download(server.url("A1.tsv.gz"), there / "raw/A1.tsv.gz", lock=there / "locks/her2st.tsv")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file sha256\n", "is not a lock file"),
        ("\t".join(COLUMNS) + "\nA1.tsv.gz\tabc\n", "line 2: the line is incomplete"),
        ("\t".join(COLUMNS) + "\na\tb\t1\tc\td\textra\n", "line 2: the line is incomplete"),
    ],
)
def test_a_broken_lock_file_is_reported_before_anything_is_downloaded(
    server, tmp_path, text, complaint
):
    lock = tmp_path / "lock.tsv"
    lock.write_text(text)
    with pytest.raises(UserError, match=complaint) as caught:
        download(server.url("A1.tsv.gz"), tmp_path / "A1.tsv.gz", lock=lock)
    assert str(lock) in the_sentence(caught)
    assert server.requested == []


def test_jobs_that_run_at_once_share_a_lock_file(server, tmp_path):
    names = [f"section_{index}.tsv" for index in range(8)]
    server.files |= {name: name.encode() for name in names}
    lock = tmp_path / "locks" / "her2st.tsv"
    jobs = [
        multiprocessing.get_context("fork").Process(
            target=download, args=(server.url(name), tmp_path / "raw" / name), kwargs={"lock": lock}
        )
        for name in names
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0] * len(jobs)
    assert {file: seen.sha256 for file, seen in read_lock(lock).items()} == {
        f"raw/{name}": sha256(name.encode()) for name in names
    }
    assert everything_below(tmp_path) == {"locks/her2st.tsv"} | {f"raw/{name}" for name in names}


A_JOB = "import sys; from reg2st.sections.sources.download import download; download(*sys.argv[1:])"


def test_what_a_killed_download_left_is_cleared_by_the_next(server, tmp_path):
    target = tmp_path / "A1.jpg"
    server.files["images/A1.jpg"] = IMAGE * 6
    server.pause_midway = True
    job = subprocess.Popen([sys.executable, "-c", A_JOB, server.url("images/A1.jpg"), target])
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.glob(".*.A1.jpg/*")):
        assert time.monotonic() < deadline
        assert job.poll() is None
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert not target.exists()
    server.pause_midway = False
    download(server.url("images/A1.jpg"), target)
    assert target.read_bytes() == IMAGE * 6
    assert everything_below(tmp_path) == {"A1.jpg"}


def test_the_progress_in_a_log_file_is_a_few_lines(server, tmp_path):
    log = tmp_path / "log"
    server.files["images/A1.jpg"] = IMAGE * 20
    with open(log, "w") as handle:
        subprocess.run(
            [sys.executable, "-c", A_JOB, server.url("images/A1.jpg"), tmp_path / "A1.jpg"],
            stderr=handle,
            check=True,
        )
    lines = re.split(r"[\r\n]+", log.read_text().strip())
    assert "100%" in lines[-1]
    assert len(lines) < 8


def test_a_folder_that_cannot_be_written_is_one_sentence(server, tmp_path):
    (tmp_path / "raw").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot be written") as caught:
        download(server.url("A1.tsv.gz"), tmp_path / "raw" / "A1.tsv.gz")
    the_sentence(caught)


@pytest.mark.parametrize(
    "file", ["images/A #1.jpg", "images/50%.jpg", "images/what?.jpg", "images/Ä+1.jpg"]
)
def test_a_file_name_is_encoded_in_its_address(server, tmp_path, file):
    source = UrlSource(base=server.url())
    server.files[quote(file)] = IMAGE
    download(source.address(file), tmp_path / file)
    assert (tmp_path / file).read_bytes() == IMAGE


def test_access_denied_says_its_status(server, tmp_path):
    server.errors = [403]
    with pytest.raises(UserError, match=r"the server answered 403 \(Forbidden\)") as caught:
        download(server.url("A1.tsv.gz"), tmp_path / "A1.tsv.gz")
    the_sentence(caught)


BEHIND_SOCKS = """
import sys
sys.modules["socks"] = None  # as where PySocks is not installed
from reg2st.base.errors import UserError
from reg2st.sections.sources.download import download
try:
    download("http://data.example.org/A1.tsv", sys.argv[1], retries=0)
except UserError as error:
    print(error)
"""


def test_a_socks_proxy_names_the_package_that_it_needs(tmp_path):
    behind = {"ALL_PROXY": "socks5://127.0.0.1:9", "all_proxy": "socks5://127.0.0.1:9"}
    told = subprocess.run(
        [sys.executable, "-c", BEHIND_SOCKS, tmp_path / "A1.tsv"],
        env={**os.environ, **behind},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "is a SOCKS proxy, which needs the package PySocks; install it" in told
    assert len(told.splitlines()) == 1
