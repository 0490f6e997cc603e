"""Fetch files of a model from the Hugging Face hub and check them against a lock file.

The lock file is JSON: for each repository, the commit that ``main`` first meant and the SHA-256 of
each file fetched. Later fetches ask for that commit, and the hashes must agree.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from reg2st.base.errors import UserError
from reg2st.base.files import sha256, written_whole
from reg2st.base.locking import alone


class HubFiles(NamedTuple):
    """Files of one repository at one commit, in the hub's cache."""

    revision: str
    paths: dict[str, Path]
    sha256: dict[str, str]


def fetch_from_hub(
    repo: str, files: list[str], lock: str | os.PathLike, revision: str | None = None
) -> HubFiles:
    """Fetch files of a repository, or find them in the cache, which needs no network.

    Args:
        revision: a commit, tag or branch; None takes the commit in the lock file, or the newest.

    Raises:
        UserError: the hub cannot be reached, refuses access, lacks the repository or a file, or
            sends a file that differs from the one in the lock file.
    """
    entry = repo if revision is None else f"{repo}@{revision}"
    held = _read_lock(lock).get(entry)
    revision = held["revision"] if held else revision or "main"
    paths: dict[str, Path] = {}
    for file in files:
        paths[file] = _download(repo, file, revision)
        revision = paths[file].parent.name
    seen = {file: sha256(path) for file, path in paths.items()}
    _hold(entry, revision, seen, lock)
    return HubFiles(revision, paths, seen)


def _download(repo: str, file: str, revision: str) -> Path:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if not constants.ENDPOINT.startswith(("http://", "https://")):
        raise UserError(
            f"HF_ENDPOINT is '{constants.ENDPOINT}', without http:// or https://; write the whole "
            "address of the hub or its mirror."
        )
    where = f"{repo} on {constants.ENDPOINT}"
    try:
        return Path(hf_hub_download(repo, file, revision=revision))
    except GatedRepoError as error:
        raise UserError(
            f"The model {where} is gated: accept its terms on its page, then run `hf auth login` "
            "or set HF_TOKEN."
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"There is no model {where}, or it is private: check its name, or set HF_TOKEN."
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(
            f"The model {where} has no revision {revision}, which the lock file names; delete its "
            "entry there to take the newest."
        ) from error
    except LocalEntryNotFoundError as error:
        reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _answer(error.__cause__)
        raise UserError(
            f"{file} of {repo} is not in the cache {constants.HF_HUB_CACHE} and {reason}: fetch it "
            "once on a machine with access and copy the cache, or choose the encoder "
            "efficientnet_lite0, which needs no hub."
        ) from error
    except EntryNotFoundError as error:
        raise UserError(
            f"The model {where} has no {file}; weights are read from safetensors only, since "
            "pickled ones can run code."
        ) from error
    except ImportError as error:
        if "SOCKS" not in str(error):
            raise
        raise UserError(
            f"{file} of {where} cannot be fetched: the proxy of this shell (ALL_PROXY, HTTPS_PROXY "
            "or HTTP_PROXY) is a SOCKS proxy, which needs the package socksio; install it, or "
            "unset the variable."
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise UserError(
            f"{file} of {where} cannot be fetched ({str(error).splitlines()[0]}); try again later."
        ) from error
    except OSError as error:
        raise UserError(
            f"{file} of {where} cannot be kept in the hub's cache {constants.HF_HUB_CACHE} "
            f"({error.strerror or error}); free space, correct the permissions, or set HF_HOME to "
            "a folder that you can write."
        ) from error


def _answer(error: BaseException | None) -> str:
    """What the hub answered, or that it did not."""
    from huggingface_hub import constants
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError

    if isinstance(error, FileMetadataError):
        return f"{constants.ENDPOINT} answers, but not as a hub does (a web page, perhaps)"
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return f"{constants.ENDPOINT} answered {status} ({error.response.reason_phrase})"
    return "the hub cannot be reached"


def _read_lock(lock: str | os.PathLike) -> dict[str, dict]:
    try:
        return json.loads(Path(lock).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise UserError(f"The lock file {lock} is not JSON ({error}); restore it.") from error


def _hold(repo: str, revision: str, seen: dict[str, str], lock: str | os.PathLike) -> None:
    """Compare hashes with the lock file's, and record those of new files."""
    lock = Path(lock)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with alone(lock.with_name(f".{lock.name}.lock")):
        entries = _read_lock(lock)
        entry = entries.setdefault(repo, {"revision": revision, "sha256": {}})
        if entry["revision"] != revision:
            raise UserError(
                f"{repo} is at revision {revision}, but {lock} records {entry['revision']}; run "
                "again."
            )
        for file, digest in seen.items():
            held = entry["sha256"].setdefault(file, digest)
            if held != digest:
                raise UserError(
                    f"{file} of {repo} has SHA-256 {digest}, but {lock} records {held}; delete the "
                    "file from the hub's cache and fetch it again."
                )
        with written_whole(lock) as temporary:
            temporary.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", "utf-8")
