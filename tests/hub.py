"""A real model hub on loopback: the parts of its protocol that downloads and uploads need."""

import base64
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
        self._stored: dict[str, bytes] = {}

    def __enter__(self) -> "Hub":
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def do_GET(self) -> None:
                self._answer(with_body=True)

            def do_POST(self) -> None:
                self._take()

            def do_PUT(self) -> None:
                self._take()

            def _take(self) -> None:
                path = unquote(urlsplit(self.path).path).lstrip("/")
                hub.requested.append(path)
                sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = json.dumps(hub.take(path, sent)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

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

    def take(self, path: str, sent: bytes) -> dict:
        """What the hub answers when something is sent to a path."""
        parts = path.split("/")
        if parts[0] == "stored":
            self._stored[parts[1]] = sent
            return {}
        if parts == ["api", "validate-yaml"]:
            return {"errors": [], "warnings": []}
        if parts[-1] == "batch":
            objects = json.loads(sent)["objects"]
            return {"transfer": "basic", "objects": [self._upload(each) for each in objects]}
        if parts[:3] == ["api", "repos", "create"]:
            asked = json.loads(sent)
            name = f"{asked.get('organization') or 'lab'}/{asked['name']}"
            self.repositories.setdefault(name, {})
            self.commits.setdefault(name, hashlib.sha1(name.encode()).hexdigest())
            return {"url": f"{self.address}/{name}"}
        name = "/".join(parts[2:4])
        if parts[4] == "preupload":
            return {"files": [_upload_mode(each["path"]) for each in json.loads(sent)["files"]]}
        return self._commit(name, [json.loads(line) for line in sent.splitlines()])

    def _upload(self, wanted: dict) -> dict:
        place = {"href": f"{self.address}/stored/{wanted['oid']}"}
        return {**wanted, "actions": {"upload": place}}

    def _commit(self, name: str, lines: list[dict]) -> dict:
        files = self.repositories[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self._stored[value["oid"]]
        commit = hashlib.sha1(b"".join(files.values())).hexdigest()
        self.commits[name] = commit
        return {"commitUrl": f"{self.address}/{name}/commit/{commit}", "commitOid": commit}

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


def _upload_mode(path: str) -> dict:
    mode = "lfs" if path.endswith(".safetensors") else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": None}
