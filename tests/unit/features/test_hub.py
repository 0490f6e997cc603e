"""Proxies, mirrors and addresses between a job and the hub, each refused in one sentence."""

import http.server
import os
import subprocess
import sys
import threading

import pytest

from hub import Hub

FETCH = """
import sys
from reg2st.base.errors import UserError
from reg2st.features.encoders.hub import fetch_from_hub
if sys.argv[2:]:
    sys.modules[sys.argv[2]] = None  # as where the package is not installed
try:
    fetch_from_hub("lab/model", ["model.safetensors"], sys.argv[1])
except UserError as error:
    print(error)
"""


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers every request with a web page; its address names the status."""

    def do_HEAD(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def portal():
    """The address of a server on loopback that is no hub."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fetch(tmp_path):
    """What is said when a file is fetched with some environment."""

    def told(without: str = "", **environment: str) -> str:
        names = {"HF_HOME": str(tmp_path / "hub"), "NO_PROXY": "127.0.0.1", **environment}
        command = [sys.executable, "-c", FETCH, tmp_path / "lock.json", *filter(None, [without])]
        done = subprocess.run(
            command, env={**os.environ, **names}, capture_output=True, text=True, check=True
        )
        (sentence,) = done.stdout.splitlines()
        return sentence

    return told


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (200, "answers, but not as a hub does"),
        (403, "answered 403 (Forbidden)"),
        (407, "answered 407 (Proxy Authentication Required)"),
    ],
    ids=["a web page", "403", "a proxy that asks for a password"],
)
def test_what_answers_in_place_of_the_hub_is_said(fetch, portal, status, told):
    assert f"{portal}/{status} {told}" in fetch(HF_ENDPOINT=f"{portal}/{status}")


def test_an_address_without_a_scheme_is_one_sentence(fetch):
    assert "HF_ENDPOINT is 'hub.example.org', without http://" in fetch(
        HF_ENDPOINT="hub.example.org"
    )


@pytest.mark.parametrize("folder", ["a file/hub", "/proc/hub"])
def test_a_cache_that_cannot_be_written_is_one_sentence(fetch, folder, tmp_path):
    (tmp_path / "a file").touch()
    place = str(tmp_path / folder)
    with Hub({"lab/model": {"model.safetensors": b"weights"}}) as hub:
        told = fetch(HF_ENDPOINT=hub.address, HF_HOME=place)
    assert f"cannot be kept in the hub's cache {place}/hub" in told
    assert "set HF_HOME to a folder that you can write" in told


def test_a_socks_proxy_names_the_package_that_it_needs(fetch):
    told = fetch(without="socksio", ALL_PROXY="socks5://127.0.0.1:9", NO_PROXY="")
    assert "is a SOCKS proxy, which needs the package socksio" in told
