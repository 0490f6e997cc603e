"""Extract chosen members of zip and tar archives, and survive hostile archives.

``shutil.unpack_archive`` and pooch's processors write every member under the name that the archive
gives it, with no limit to its size. Here the caller names the targets, and each guard below says
what it is for.
"""

import gzip
import logging
import os
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

import pyzipper
from tqdm import tqdm

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.base.names import closest

logger = logging.getLogger(__name__)

MAX_BYTES = 8 * 2**30
"""Stops compression bombs from filling the disk."""

MAX_HEADER_BYTES = 16 << 20
"""tarfile reads a header whole; one that claims more would fill the memory."""

MAX_MEMBERS = 100_000
"""tarfile keeps an object a member; endless members would fill the memory."""

CHUNK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK"
DAMAGE = (
    tarfile.TarError,
    pyzipper.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    ValueError,
)
"""What the libraries raise on damaged archives."""

BY_HAND = "unpack it by hand and name the folder in the dataset's `root`"

Deliver = Callable[[IO[bytes]], None]

_size = partial(tqdm.format_sizeof, suffix="B")


class _Zip:
    """A zip archive; one of ``passwords`` opens its encrypted members."""

    def __init__(self, path: Path, passwords: Collection[str], stack: ExitStack) -> None:
        self._path = path
        self._passwords = passwords
        self._file = stack.enter_context(pyzipper.AESZipFile(path))
        self.members = {info.filename: info for info in self._file.infolist() if not info.is_dir()}

    def is_regular(self, name: str) -> bool:
        kind = stat.S_IFMT(self.members[name].external_attr >> 16)
        return kind in (0, stat.S_IFREG)

    def size(self, name: str) -> int:
        return self.members[name].file_size

    def position(self, name: str) -> int:
        return self.members[name].header_offset

    def read(self, name: str, deliver: Deliver) -> None:
        info = self.members[name]
        encrypted = info.flag_bits & 1
        # bzip2 and LZMA unpack a chunk of input at once, so a bomb would fill the memory.
        if info.compress_type not in (pyzipper.ZIP_STORED, pyzipper.ZIP_DEFLATED):
            raise UserError(
                f"{_shown(name)} in {self._path} is compressed by a method other than deflate; "
                f"{BY_HAND}."
            )
        if encrypted and not self._passwords:
            raise UserError(
                f"{_shown(name)} in {self._path} is encrypted; give the archive's `passwords` in "
                "the config."
            )
        damage = None
        for password in self._passwords if encrypted else [""]:
            try:
                with self._file.open(info, pwd=password.encode() or None) as source:
                    return deliver(source)
            except DAMAGE as error:  # or a wrong password: ZipCrypto lets 1 in 256 pass
                damage = error
            except RuntimeError:  # a wrong password
                continue
        if damage is not None:
            raise damage
        tried = len(self._passwords)
        raise UserError(
            f"{'The password given does not open' if tried == 1 else 'No password given opens'} "
            f"{_shown(name)} in {self._path}; correct the archive's `passwords` in the config."
        )


class _Bounded:
    """The stream of a tar archive, with limits to the size of a read and to the bytes unpacked."""

    def __init__(self, stream: IO[bytes], path: Path, last: int | None) -> None:
        self._stream = stream
        self._path = path
        self._last = last
        self.tell = stream.tell

    def _check(self, position: int) -> None:
        if self._last is not None and position > self._last:
            raise UserError(f"{self._path} unpacks to more than {_size(self._last)}; {BY_HAND}.")

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER_BYTES:
            raise UserError(f"{self._path} holds a header of {_size(size)}, which is too large.")
        data = self._stream.read(size)
        self._check(self.tell())
        return data

    def seek(self, position: int) -> int:
        self._check(position)
        return self._stream.seek(position)


class _Tar:
    """A tar archive, plain or gzip data."""

    def __init__(self, path: Path, compressed: bool, max_bytes: int, stack: ExitStack) -> None:
        stream = stack.enter_context((gzip.open if compressed else open)(path, "rb"))
        raw = _Bounded(stream, path, max_bytes if compressed else None)
        self._file = stack.enter_context(tarfile.open(fileobj=raw, mode="r:"))  # noqa: SIM115
        self.members = {}
        for count, member in enumerate(self._file, start=1):
            if count > MAX_MEMBERS:
                raise UserError(f"{path} holds more than {MAX_MEMBERS:,} members; {BY_HAND}.")
            if not member.isdir():
                self.members[member.name] = member
        raw.seek(self._file.offset)
        if raw.read(tarfile.BLOCKSIZE).strip(tarfile.NUL):  # tarfile ends quietly at a bad header
            raise tarfile.ReadError("unreadable header")
        if compressed:
            while raw.read(CHUNK_BYTES):
                pass  # gzip checks its checksum only at the end of the stream

    def is_regular(self, name: str) -> bool:
        return self.members[name].isfile()

    def size(self, name: str) -> int:
        return self.members[name].size

    def position(self, name: str) -> int:
        return self.members[name].offset

    def read(self, name: str, deliver: Deliver) -> None:
        with self._file.extractfile(self.members[name]) as source:
            deliver(source)


@contextmanager
def _opened(path: Path, passwords: Collection[str], max_bytes: int) -> Iterator[_Zip | _Tar]:
    with open(path, "rb") as handle:
        magic = handle.read(2)
    with ExitStack() as stack:
        if magic == ZIP_MAGIC:
            yield _Zip(path, passwords, stack)
        else:
            yield _Tar(path, magic == GZIP_MAGIC, max_bytes, stack)


def _shown(member: str) -> str:
    """The name of a member, safe to print: it may hold commands to the terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in member
    )


def _match(name: str, members: Collection[str], archive: Path) -> str:
    """The member meant by a name of the sample sheet: as written, else with or without .gz."""
    twin = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    for spelling in (name, twin):
        wanted = PurePosixPath(spelling).parts
        found = [member for member in members if PurePosixPath(member).parts == wanted] or [
            member for member in members if PurePosixPath(member).parts[-len(wanted) :] == wanted
        ]
        if len(found) > 1:
            raise UserError(
                f"{archive} holds {len(found)} members that {name} may mean, {_shown(found[0])} "
                f"and {_shown(found[1])} among them; write the full path in the sample sheet."
            )
        if found:
            return found[0]
    if not members:
        raise UserError(f"{archive} holds no file; check that it is the archive of {name}.")
    basenames = (PurePosixPath(_shown(member)).name for member in members)
    raise UserError(
        f"{archive} holds no member {name}{closest(PurePosixPath(name).name, basenames)}; correct "
        "the sample sheet or the archive's `holds` in the config."
    )


def _copy(source: IO[bytes], sink: IO[bytes], max_bytes: int, what: str) -> None:
    copied = 0
    while chunk := source.read(CHUNK_BYTES):
        copied += len(chunk)
        if copied > max_bytes:
            raise UserError(f"{what} unpacks to more than {_size(max_bytes)}; {BY_HAND}.")
        sink.write(chunk)


def _deliver(source: IO[bytes], named_gz: bool, target: Path, max_bytes: int, what: str) -> None:
    """Write a member, as gzip data if the target's name ends in .gz, else plain."""
    packed = source.peek(2)[:2] == GZIP_MAGIC
    if named_gz and not packed:
        raise gzip.BadGzipFile("a member named .gz is not gzip data")
    with written_whole(target) as temporary, open(temporary, "w+b") as sink:
        if target.suffix != ".gz":
            _copy(gzip.GzipFile(fileobj=source) if packed else source, sink, max_bytes, what)
        elif packed:
            _copy(source, sink, max_bytes, what)
            sink.seek(0)
            with gzip.GzipFile(fileobj=sink) as unpacked, open(os.devnull, "wb") as nowhere:
                _copy(unpacked, nowhere, max_bytes, what)
        else:
            with gzip.GzipFile("", "wb", fileobj=sink, mtime=0) as packing:
                _copy(source, packing, max_bytes, what)


def extract_members(
    archive: str | os.PathLike,
    wanted: Mapping[str, str | os.PathLike],
    passwords: Collection[str] = (),
    max_bytes: int = MAX_BYTES,
) -> None:
    """Write chosen members of a zip, tar or tar.gz archive to files of the caller's choice.

    A member is named by its path or by the end of its path (such as its base name), with or
    without ``.gz``. No other member is written, and no name in the archive is used as a path on
    the disk. A target that ends in ``.gz`` gets gzip data, any other plain data, whatever the
    member is. Members are streamed, so memory does not grow with their size.

    Args:
        wanted: target file by name, as given in the sample sheet.
        passwords: tried one after another on each encrypted member (AES or ZipCrypto).
        max_bytes: the most that one member, or a whole tar.gz, may unpack to.

    Raises:
        UserError: a member is missing, ambiguous, a link or device, too large or encrypted with
            another password; the archive is damaged; or the target cannot be written. The target
            is then unchanged.
    """
    archive = Path(archive)
    if not archive.is_file():
        raise UserError(f"The archive {archive} does not exist; download it first.")
    try:
        with _opened(archive, passwords, max_bytes) as file:
            found = [(_match(name, file.members, archive), name) for name in wanted]
            for member, name in sorted(found, key=lambda pair: file.position(pair[0])):
                what = f"{_shown(member)} in {archive}"
                if not file.is_regular(member):  # a link could point anywhere on this machine
                    raise UserError(f"{what} is a link or a device, not a file; {BY_HAND}.")
                if file.size(member) > max_bytes:
                    raise UserError(
                        f"{what} unpacks to {_size(file.size(member))}, more than "
                        f"{_size(max_bytes)}; {BY_HAND}."
                    )
                deliver = partial(
                    _deliver,
                    named_gz=member.endswith(".gz"),
                    target=Path(wanted[name]),
                    max_bytes=max_bytes,
                    what=what,
                )
                file.read(member, deliver)
                logger.info("Extracted %s to %s.", what, wanted[name])
    except DAMAGE as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise UserError(
            f"{archive} is damaged or not a zip, tar or tar.gz archive ({reason}); delete it and "
            "run again to download it again."
        ) from error
    except OSError as error:
        raise UserError(
            f"Extracting members of {archive} failed ({error}); free space or correct the "
            "permissions, then run again."
        ) from error
