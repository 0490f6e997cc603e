"""Download one file over HTTP, whole and held to its checksum."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import requests
from pooch import HTTPDownloader, Pooch
from tqdm import tqdm

from reg2st.base import files
from reg2st.base.errors import UserError
from reg2st.base.locking import alone
from reg2st.sections.sources.checksums import name_in_lock, read_lock, record_or_compare

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
PASSING_STATUS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
HOPELESS = (
    requests.exceptions.TooManyRedirects,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
)
ELSEWISE = "or download the file by hand and name its folder in the dataset's `root`"


class _Progress(tqdm):
    """A bar on a terminal; in a log file, a line now and then."""

    def __init__(self, name: str) -> None:
        on_terminal = sys.stderr.isatty()
        super().__init__(
            desc=name,
            unit="B",
            unit_scale=True,
            mininterval=0.1 if on_terminal else 10,
            ascii=None if on_terminal else True,
        )

    def __bool__(self) -> bool:
        """Pooch asks whether there is a bar, not whether its total is known yet."""
        return True

    def reset(self, total: float | None = None) -> None:
        """Pooch counts the whole file anew at the end; its clock goes on."""
        self.n = 0


class _Downloader(HTTPDownloader):
    """Pooch's downloader; what another attempt cannot mend ends at once in a ``UserError``."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            chunk_size=CHUNK_BYTES,
            headers={"Accept-Encoding": "identity"},
            hooks={"response": self._keep_gzip},
        )

    def _keep_gzip(self, response: requests.Response, **_) -> None:
        """A file that is gzip data stays so where a server declares it as a mere encoding."""
        if self.name.endswith(".gz"):
            response.raw.headers.pop("Content-Encoding", None)

    def __call__(self, url, output_file, pooch, check_only=False):
        self.progressbar = _Progress(self.name)
        try:
            return super().__call__(url, output_file, pooch, check_only)
        except HOPELESS as error:
            raise UserError(f"{url} cannot be downloaded: {error}; correct the address.") from error
        except requests.HTTPError as error:
            status = error.response.status_code
            if status >= 500 or status in PASSING_STATUS:
                raise
            raise UserError(
                f"{url} cannot be downloaded: the server answered {_named(status)}; correct the "
                f"address, {ELSEWISE}."
            ) from error
        finally:
            self.progressbar.close()


def _named(status: int) -> str:
    known = status in set(HTTPStatus)
    return f"{status} ({HTTPStatus(status).phrase})" if known else str(status)


def _cause(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError):
        return f"the server answered {_named(error.response.status_code)}"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate was not accepted"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "the server cannot be reached"
    return "the connection was cut before the end of the file"


@contextmanager
def _partial_folder(target: Path) -> Iterator[Path]:
    """A folder of one download beside its target; what a killed download left there goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.part")
    with alone(target.with_name(f".{target.name}.lock")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _fetch(url: str, folder: Path, name: str, retries: int) -> Path:
    source = Pooch(folder, "", registry={name: None}, urls={name: url}, retry_if_failed=retries)
    try:
        return Path(source.fetch(name, downloader=_Downloader(name)))
    except requests.RequestException as error:
        attempts = "1 attempt" if retries == 0 else f"{retries + 1} attempts"
        raise UserError(
            f"{url} could not be downloaded in {attempts}: {_cause(error)}; check the network and "
            f"run again, {ELSEWISE}."
        ) from error


def _refuse_non_file(file: Path, url: str) -> None:
    with open(file, "rb") as handle:
        start = handle.read(512).lstrip().lower()
    if not start or start.startswith((b"<!doctype html", b"<html")):
        what = "a web page" if start else "nothing"
        raise UserError(
            f"{url} answered with {what} instead of {file.name}; correct the address, {ELSEWISE}."
        )


def _hold_to(expected: str, seen: str, target: Path, origin: str, mend: str) -> None:
    if seen != expected.lower():
        raise UserError(
            f"{target} was not kept: its SHA-256 should be {expected} ({origin}) but the server "
            f"sent {seen}; run again in case the download was disturbed, and {mend}."
        )


def download(
    url: str,
    target: str | os.PathLike,
    sha256: str | None = None,
    lock: str | os.PathLike | None = None,
    retries: int = 5,
) -> None:
    """Download ``url`` to ``target``, which holds the whole file or is left as it was.

    Redirects are followed. Connections that fail or are cut and servers that answer 5xx are
    tried again from the start, ``retries`` times, after waits of 1, 2, 3, ... seconds.

    Args:
        sha256: the published checksum in hexadecimal.
        lock: where none was published, the lock file (TSV) that records the first checksum
            seen of each file and holds later downloads to it; see ``sources.checksums``.

    Raises:
        UserError: no such file there, no connection, another checksum, a web page in its
            place, or no room on the disk.
    """
    target = Path(target)
    if sha256 is None and lock is not None:
        read_lock(lock)
    try:
        with _partial_folder(target) as folder:
            file = _fetch(url, folder, target.name, retries)
            _refuse_non_file(file, url)
            seen = files.sha256(file)
            if sha256 is not None:
                _hold_to(sha256, seen, target, "as published", "correct the checksum if it is old")
            elif lock is not None:
                known = record_or_compare(
                    lock, name_in_lock(target, lock), seen, file.stat().st_size, url
                )
                _hold_to(
                    known.sha256,
                    seen,
                    target,
                    f"recorded in {lock} on {known.first_seen} from {known.url}",
                    f"if the publisher has replaced the file, delete its line from {lock}",
                )
            logger.info("The SHA-256 of %s is %s.", target, seen)
            with files.written_whole(target) as temporary:
                os.replace(file, temporary)
    except OSError as error:
        raise UserError(
            f"{target} cannot be written: {error.strerror or error}; free space or correct the "
            "permissions, then run again."
        ) from error
