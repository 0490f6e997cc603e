"""Download one file over HTTP, whole, and check it against its checksum."""

import logging
import os
from http import HTTPStatus
from pathlib import Path

import requests
from pooch import HTTPDownloader, Pooch

from reg2st.base import files
from reg2st.base.errors import UserError
from reg2st.base.progress import Progress
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
OTHERWISE = "or download the file by hand and name its folder in the dataset's `root`"


class _BytesReceived(Progress):
    """Progress as pooch uses it."""

    def __bool__(self) -> bool:
        """True: pooch asks whether there is a bar; tqdm would answer whether its total is known."""
        return True

    def reset(self, total: float | None = None) -> None:
        """Keep the clock: pooch counts the whole file again at the end."""
        self.n = 0


class _Downloader(HTTPDownloader):
    """Pooch's downloader; errors that another attempt cannot solve become a ``UserError``."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            chunk_size=CHUNK_BYTES,
            headers={"Accept-Encoding": "identity"},
            hooks={"response": self._keep_gzip},
        )

    def _keep_gzip(self, response: requests.Response, **_) -> None:
        """Keep a gzip file compressed where the server declares gzip as a content encoding."""
        if self.name.endswith(".gz"):
            response.raw.headers.pop("Content-Encoding", None)

    def __call__(self, url, output_file, pooch, check_only=False):
        self.progressbar = _BytesReceived(self.name, unit="B", unit_scale=True)
        try:
            return super().__call__(url, output_file, pooch, check_only)
        except HOPELESS as error:
            if "SOCKS" in str(error):
                raise UserError(
                    f"{url} cannot be downloaded: the proxy of this shell (ALL_PROXY, HTTPS_PROXY "
                    "or HTTP_PROXY) is a SOCKS proxy, which needs the package PySocks; install it, "
                    "or unset the variable."
                ) from error
            raise UserError(f"{url} cannot be downloaded: {error}; correct the address.") from error
        except requests.HTTPError as error:
            status = error.response.status_code
            if status >= 500 or status in PASSING_STATUS:
                raise
            raise UserError(
                f"{url} cannot be downloaded: the server answered {_named(status)}; correct the "
                f"address, {OTHERWISE}."
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


def _fetch(url: str, file: Path, retries: int) -> None:
    name = file.name
    source = Pooch(file.parent, "", {name: None}, {name: url}, retry_if_failed=retries)
    try:
        source.fetch(name, downloader=_Downloader(name))
    except requests.RequestException as error:
        attempts = "1 attempt" if retries == 0 else f"{retries + 1} attempts"
        raise UserError(
            f"{url} could not be downloaded in {attempts}: {_cause(error)}; check the network and "
            f"run again, {OTHERWISE}."
        ) from error


def _refuse_non_file(file: Path, url: str) -> None:
    with open(file, "rb") as handle:
        start = handle.read(512).lstrip().lower()
    if not start or start.startswith((b"<!doctype html", b"<html")):
        what = "a web page" if start else "nothing"
        raise UserError(
            f"{url} answered with {what} instead of {file.name}; correct the address, {OTHERWISE}."
        )


def _check(expected: str, seen: str, target: Path, origin: str, remedy: str) -> None:
    if seen != expected.lower():
        raise UserError(
            f"{target} was not kept: its SHA-256 should be {expected} ({origin}), but the server "
            f"sent {seen}; run again in case the download was corrupted, and {remedy}."
        )


def download(
    url: str,
    target: str | os.PathLike,
    sha256: str | None = None,
    lock: str | os.PathLike | None = None,
    retries: int = 5,
) -> None:
    """Download ``url`` to ``target``; unless the whole file arrives, ``target`` is unchanged.

    Redirects are followed. After a failed or cut connection or a 5xx answer the download starts
    again, up to ``retries`` times, after waits of 1, 2, 3, ... seconds.

    Args:
        sha256: the published checksum in hexadecimal.
        lock: where none is published, the lock file (TSV) that records the first checksum seen
            of each file, which later downloads must match; see ``sources.checksums``.

    Raises:
        UserError: the file does not exist, the server cannot be reached, the checksum differs,
            a web page arrives instead, or the disk is full.
    """
    target = Path(target)
    if sha256 is None and lock is not None:
        read_lock(lock)
    try:
        with files.written_whole(target) as file:
            _fetch(url, file, retries)
            _refuse_non_file(file, url)
            seen = files.sha256(file)
            if sha256 is not None:
                _check(
                    sha256,
                    seen,
                    target,
                    "as published",
                    "correct the checksum if it is old",
                )
            elif lock is not None:
                known = record_or_compare(
                    lock, name_in_lock(target, lock), seen, file.stat().st_size, url
                )
                _check(
                    known.sha256,
                    seen,
                    target,
                    f"recorded in {lock} on {known.first_seen} from {known.url}",
                    f"if the publisher has replaced the file, delete its line from {lock}",
                )
            logger.info("The SHA-256 of %s is %s.", target, seen)
    except OSError as error:
        raise UserError(
            f"{target} cannot be written: {error.strerror or error}; free space or correct the "
            "permissions, then run again."
        ) from error
