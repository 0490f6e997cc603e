"""A real model hub on loopback, with the part of the hub's protocol that downloads need."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """Serves repositories while its block runs.

    ``repositories`` maps a name to a dict of its files' bytes; ``commits`` maps it to the
    commit that ``main`` stands for; ``gated`` names repositories that ask for a token.
    ``requested`` lists the paths asked for.
    """

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        self.repositories = repositories
        self.commits = {name: hashlib.sha1(name.encode()).hexdigest() for name in repositories}
        self.gated: set[str] = set()
        self.requested: list[str] = []

    def __enter__(self) -> "Hub":
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def do_GET(self) -> None:
                self._answer(with_body=True)

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self, with_body: bool) -> None:
                path = unquote(urlsplit(self.path).path).lstrip("/")
                hub.requested.append(path)
                status, headers, body = hub.answer(path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a path."""
        parts = path.split("/")
        if parts[:2] == ["api", "models"]:
            return self._describe("/".join(parts[2:4]), parts[4:])
        name = "/".join(parts[:2])
        if name not in self.repositories:
            return _refused(401, "RepoNotFound", "Repository not found")
        if name in self.gated:
            return _refused(401, "GatedRepo", "Access to this model is restricted")
        _, revision, *rest = parts[2:]
        if revision not in ("main", self.commits[name]):
            return _refused(404, "RevisionNotFound", "Invalid revision")
        content = self.repositories[name].get("/".join(rest))
        if content is None:
            headers = {"X-Repo-Commit": self.commits[name]}
            return _refused(404, "EntryNotFound", "Entry not found", headers)
        headers = {
            "X-Repo-Commit": self.commits[name],
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "Content-Type": "application/octet-stream",
        }
        return 200, headers, content

    def _describe(self, name: str, rest: list[str]) -> tuple[int, dict[str, str], bytes]:
        if name not in self.repositories:
            return _refused(401, "RepoNotFound", "Repository not found")
        files = self.repositories[name]
        if rest[:1] == ["tree"]:
            listing = [
                {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
                for path, content in files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(listing).encode()
        about = {
            "id": name,
            "sha": self.commits[name],
            "siblings": [{"rfilename": path} for path in files],
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(about).encode()


def _refused(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    return status, {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}, b""
