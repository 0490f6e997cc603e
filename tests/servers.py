"""A real HTTP server on loopback that can misbehave as servers do."""

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class FileServer:
    """Serves ``files`` (path without leading slash: bytes) while its block runs.

    Switches, which may be turned while it runs: ``errors`` are statuses answered first, one a
    request; the next ``cuts`` answers end in the middle of the body; ``redirects`` sends a path
    on to another; ``headers`` adds headers to a path's answer; ``pause_midway`` holds bodies back
    half-way until it is turned off. ``requested`` lists the paths asked for.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        self.errors: list[int] = []
        self.cuts = 0
        self.redirects: dict[str, str] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.pause_midway = False
        self.requested: list[str] = []
        self._turn = threading.Lock()

    def __enter__(self) -> "FileServer":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.pause_midway = False
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str = "") -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def next_fault(self) -> int | str | None:
        """The status of an error, ``cut``, or nothing, for the request at hand."""
        with self._turn:
            if self.errors:
                return self.errors.pop(0)
            if self.cuts:
                self.cuts -= 1
                return "cut"
        return None


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            server.requested.append(path)
            if path in server.redirects:
                self.send_response(302)
                self.send_header("Location", "/" + server.redirects[path])
                self.end_headers()
                return
            fault = server.next_fault()
            if isinstance(fault, int):
                self.send_error(fault)
            elif path not in server.files:
                self.send_error(404)
            else:
                self._answer(server.files[path], server.headers.get(path, {}), fault == "cut")

        def _answer(self, body: bytes, headers: dict[str, str], cut: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            half = len(body) // 2
            with suppress(ConnectionError):
                self.wfile.write(body[:half])
                while server.pause_midway:
                    time.sleep(0.01)
                if not cut:
                    self.wfile.write(body[half:])

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
