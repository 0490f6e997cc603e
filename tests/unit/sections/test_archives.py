"""Wanted members out of real archives, some of them damaged or malicious."""

import gzip
import io
import os
import random
import stat
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
import pyzipper

from processes import printed_by
from reg2st.base.errors import UserError
from reg2st.sections.sources.archives import extract_members

COUNTS = b"\tFASN\tERBB2\n10x10\t3\t0\n" * 500
IMAGE = random.Random(0).randbytes(300_000)
PACKED_COUNTS = gzip.compress(COUNTS, mtime=1)
PASSWORDS = ("of the counts", "of the selections")
MiB = 1 << 20


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, members: dict[str, bytes], password: str | None = None) -> Path:
    encryption = pyzipper.WZ_AES if password else None
    with pyzipper.AESZipFile(
        path, "w", compression=pyzipper.ZIP_DEFLATED, encryption=encryption
    ) as file:
        if password:
            file.setpassword(password.encode())
        for name, data in members.items():
            file.writestr(name, data)
    return path


def write_tar_gz(path: Path, members: dict[str, bytes]) -> Path:
    return write_tar(path, members, "w:gz")


WRITERS = {"zip": write_zip, "tar": write_tar, "tar.gz": write_tar_gz}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    """Writes members into an archive of each kind."""
    return lambda members: WRITERS[request.param](tmp_path / f"a.{request.param}", members)


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def refused(archive: Path, name: str, target: Path, match: str, **settings) -> str:
    """The one sentence that a member is refused by, and nothing is written."""
    before = everything_below(archive.parent)
    with pytest.raises(UserError, match=match) as caught:
        extract_members(archive, {name: target}, **settings)
    sentence = str(caught.value)
    assert str(archive) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert everything_below(archive.parent) == before
    return sentence


def test_her2st_zips_open_by_their_passwords(tmp_path):
    matrices = write_zip(
        tmp_path / "count-matrices.zip",
        {f"count-matrices/{name}.tsv.gz": PACKED_COUNTS for name in ("A1", "A2")},
        PASSWORDS[0],
    )
    images = write_zip(tmp_path / "images.zip", {"images/HE/A1.jpg": IMAGE}, PASSWORDS[0])
    spots = write_zip(
        tmp_path / "spot-selections.zip", {"A1_selection.tsv.gz": PACKED_COUNTS}, PASSWORDS[1]
    )
    raw = tmp_path / "raw"
    for archive, name in (
        (matrices, "count-matrices/A1.tsv.gz"),
        (images, "images/HE/A1.jpg"),
        (spots, "A1_selection.tsv.gz"),
    ):
        extract_members(archive, {name: raw / name}, passwords=PASSWORDS)
    assert (raw / "count-matrices/A1.tsv.gz").read_bytes() == PACKED_COUNTS
    assert (raw / "images/HE/A1.jpg").read_bytes() == IMAGE
    assert (raw / "A1_selection.tsv.gz").read_bytes() == PACKED_COUNTS
    assert len(everything_below(raw)) == 3


def test_geo_tar_gives_what_the_suffix_says_whichever_is_in_it(tmp_path):
    archive = write_tar(
        tmp_path / "GSE144240_RAW.tar",
        {
            "GSM4284316_P2_ST_rep1.jpg.gz": gzip.compress(IMAGE),
            "GSM4284317_P2_ST_rep2.jpg": IMAGE,
            "GSM4284316_P2_ST_rep1_stdata.tsv.gz": PACKED_COUNTS,
        },
    )
    wanted = [
        "GSM4284316_P2_ST_rep1.jpg",
        "GSM4284317_P2_ST_rep2.jpg.gz",
        "GSM4284316_P2_ST_rep1_stdata.tsv",
    ]
    extract_members(archive, {name: tmp_path / "raw" / name for name in wanted})
    image, packed_image, counts = ((tmp_path / "raw" / name).read_bytes() for name in wanted)
    assert image == IMAGE
    assert gzip.decompress(packed_image) == IMAGE
    assert counts == COUNTS


@pytest.mark.parametrize(
    ("member", "data"),
    [
        ("A1.tsv", COUNTS),
        ("A1.tsv", b""),
        ("A1.tsv", b"\x1f"),
        ("A1.tsv", PACKED_COUNTS),
        ("A1.tsv.gz", PACKED_COUNTS),
        ("A1.tsv.gz", gzip.compress(b"", mtime=0)),
    ],
)
@pytest.mark.parametrize("target", ["A1.tsv", "A1.tsv.gz"])
def test_the_target_holds_what_its_suffix_says(write, tmp_path, data, member, target):
    archive = write({member: data})
    extract_members(archive, {target: tmp_path / target})
    written = (tmp_path / target).read_bytes()
    if target.endswith(".gz"):
        assert written.startswith(b"\x1f\x8b")
        written = gzip.decompress(written)
    plain = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    assert written == plain


def test_a_member_named_gz_that_is_no_gzip_data_is_refused(write, tmp_path):
    archive = write({"A1.tsv.gz": COUNTS})
    refused(archive, "A1.tsv", tmp_path / "A1.tsv", "is not gzip data")


def test_packing_gives_the_same_bytes_every_time(write, tmp_path):
    archive = write({"A1.tsv": COUNTS})
    for target in ("one.tsv.gz", "two.tsv.gz"):
        extract_members(archive, {"A1.tsv.gz": tmp_path / target})
    assert (tmp_path / "one.tsv.gz").read_bytes() == (tmp_path / "two.tsv.gz").read_bytes()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("A1.tsv", "A1.tsv"),
        ("counts/A1.tsv", "deep/counts/A1.tsv"),
        ("deep/counts/A1.tsv", "deep/counts/A1.tsv"),
        ("A2.tsv", "deep/A2.tsv"),
        ("A3.tsv", "deep/A3.tsv.gz"),
        ("A4.tsv.gz", "deep/A4.tsv.gz"),
        ("1.tsv", "deep/1.tsv"),
    ],
)
def test_names_mean_a_whole_path_or_its_end(write, tmp_path, name, meant):
    members = [
        "deep/counts/A1.tsv",
        "A1.tsv",
        "deep/A2.tsv",
        "deep/A3.tsv.gz",
        "deep/A4.tsv",
        "deep/A4.tsv.gz",
        "deep/A1.tsv",
        "deep/1.tsv",
    ]
    archive = write(
        {
            member: gzip.compress(member.encode()) if member.endswith(".gz") else member.encode()
            for member in members
        }
    )
    extract_members(archive, {name: tmp_path / "found.tsv"})
    assert (tmp_path / "found.tsv").read_text() == meant


def test_two_names_may_mean_one_member(write, tmp_path):
    archive = write({"A1.tsv": COUNTS})
    extract_members(archive, {"A1.tsv": tmp_path / "A1.tsv", "A1.tsv.gz": tmp_path / "A1.tsv.gz"})
    assert (tmp_path / "A1.tsv").read_bytes() == COUNTS
    assert gzip.decompress((tmp_path / "A1.tsv.gz").read_bytes()) == COUNTS


def test_a_name_that_may_mean_two_members_is_refused(write, tmp_path):
    archive = write({"one/A1.tsv": b"1", "two/A1.tsv": b"2"})
    sentence = refused(archive, "A1.tsv", tmp_path / "A1.tsv", "2 members that A1.tsv may mean")
    assert "one/A1.tsv and two/A1.tsv" in sentence


def test_a_missing_member_names_the_nearest(write, tmp_path):
    archive = write({"count-matrices/A1.tsv.gz": b"", "count-matrices/H3.tsv.gz": b""})
    refused(
        archive,
        "H4.tsv",
        tmp_path / "H4.tsv",
        r"no member H4.tsv \(did you mean 'H3.tsv.gz'",
    )


def test_an_empty_archive_is_one_sentence(write, tmp_path):
    refused(write({}), "A1.tsv", tmp_path / "A1.tsv", "holds no file")


def test_an_archive_that_is_not_there_is_one_sentence(tmp_path):
    refused(tmp_path / "none.zip", "A1.tsv", tmp_path / "A1.tsv", "does not exist")


@pytest.mark.parametrize(
    ("passwords", "match"),
    [
        ((), "is encrypted; give the archive's `passwords`"),
        (("wrong",), "The password given does not open"),
        (("wrong", "wrong too"), "No password given opens"),
    ],
)
def test_a_closed_zip_is_one_sentence_without_the_passwords(tmp_path, passwords, match):
    archive = write_zip(tmp_path / "a.zip", {"A1.tsv": COUNTS}, "right")
    sentence = refused(archive, "A1.tsv", tmp_path / "A1.tsv", match, passwords=passwords)
    assert not any(f" {password} " in f" {sentence} " for password in passwords)


def test_a_wrong_password_that_passes_the_short_check_does_not_stop_the_right_one(tmp_path):
    """ZipCrypto tells a wrong password by one byte only: 1 in 256 passes."""
    archive = tmp_path / "a.zip"
    archive.write_bytes(zip_crypto("A1.tsv", COUNTS, b"right"))
    passes = next(word for word in map(str, range(10_000)) if opens(archive, "A1.tsv", word))
    extract_members(archive, {"A1.tsv": tmp_path / "A1.tsv"}, passwords=(passes, "right"))
    assert (tmp_path / "A1.tsv").read_bytes() == COUNTS
    refused(archive, "A1.tsv", tmp_path / "new.tsv", "is damaged", passwords=(passes,))


def opens(archive: Path, name: str, password: str) -> bool:
    with zipfile.ZipFile(archive) as file:
        try:
            file.open(name, pwd=password.encode()).close()
        except RuntimeError:
            return False
    return True


HOSTILE_NAMES = ["../outside.tsv", "a/../../outside.tsv", "/tmp/../outside.tsv", "..\\outside.tsv"]


def test_hostile_names_write_nothing_but_the_target(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    absolute = str(tmp_path / "outside.tsv")
    for suffix, writer in WRITERS.items():
        archive = writer(
            home / f"a.{suffix}",
            {name: b"evil" for name in [*HOSTILE_NAMES, absolute]} | {"A1.tsv": COUNTS},
        )
        extract_members(archive, {"A1.tsv": home / f"{suffix}.tsv"})
        extract_members(archive, {absolute: home / f"{suffix}.evil"})
        assert (home / f"{suffix}.tsv").read_bytes() == COUNTS
        assert (home / f"{suffix}.evil").read_bytes() == b"evil"
    written = {f"home/{suffix}.{kind}" for suffix in WRITERS for kind in ("tsv", "evil")}
    assert everything_below(tmp_path) == written | {f"home/a.{suffix}" for suffix in WRITERS}


LINKS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
}


@pytest.mark.parametrize("kind", LINKS.values(), ids=LINKS)
def test_links_and_devices_in_tars_are_refused_and_never_made(tmp_path, kind):
    (tmp_path / "secret").write_text("not in the archive")
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        special = tarfile.TarInfo("A1.tsv")
        special.type, special.linkname = kind, str(tmp_path / "secret")
        tar.addfile(special)
        good = tarfile.TarInfo("A2.tsv")
        good.size = len(COUNTS)
        tar.addfile(good, io.BytesIO(COUNTS))
    refused(archive, "A1.tsv", tmp_path / "A1.tsv", "is a link or a device")
    extract_members(archive, {"A2.tsv": tmp_path / "A2.tsv"})
    assert (tmp_path / "A2.tsv").read_bytes() == COUNTS
    assert everything_below(tmp_path) == {"a.tar", "secret", "A2.tsv"}


def test_links_in_zips_are_refused(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        link = zipfile.ZipInfo("A1.tsv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    refused(archive, "A1.tsv", tmp_path / "A1.tsv", "is a link or a device")


def test_a_link_through_a_folder_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        link = tarfile.TarInfo("counts")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
        member = tarfile.TarInfo("counts/A1.tsv")
        member.size = len(COUNTS)
        tar.addfile(member, io.BytesIO(COUNTS))
    extract_members(archive, {"counts/A1.tsv": tmp_path / "raw" / "counts" / "A1.tsv"})
    assert (tmp_path / "raw" / "counts" / "A1.tsv").read_bytes() == COUNTS
    assert everything_below(outside) == set()


@pytest.mark.parametrize(
    ("name", "packed"), [("A1.tsv", False), ("A1.tsv", True), ("A1.tsv.gz", True)]
)
def test_bombs_stop_at_the_limit(write, tmp_path, name, packed):
    zeros = bytes(3 * MiB)
    archive = write({name: gzip.compress(zeros) if packed else zeros})
    for target in ("A1.tsv", "A1.tsv.gz"):
        refused(archive, name, tmp_path / "raw" / target, "more than 2.10MB", max_bytes=2 * MiB)
    extract_members(archive, {name: tmp_path / "A1.tsv"}, max_bytes=4 * MiB)
    assert (tmp_path / "A1.tsv").read_bytes() == zeros


def test_a_bomb_before_the_wanted_member_of_a_tar_gz_stops_at_the_limit(tmp_path):
    archive = write_tar_gz(tmp_path / "a.tar.gz", {"bomb": bytes(3 * MiB), "A1.tsv": COUNTS})
    refused(archive, "A1.tsv", tmp_path / "A1.tsv", "more than 2.10MB", max_bytes=2 * MiB)


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"A1.tsv": bytes(3 * MiB)})
    true, false = struct.pack("<L", 3 * MiB), struct.pack("<L", 100)
    archive.write_bytes(archive.read_bytes().replace(true, false))
    refused(archive, "A1.tsv", tmp_path / "A1.tsv", "is damaged", max_bytes=MiB)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods_whose_bombs_fill_the_memory_are_refused(tmp_path, method):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", method) as file:
        file.writestr("A1.tsv", COUNTS)
    refused(archive, "A1.tsv", tmp_path / "A1.tsv", "other than deflate")


def test_a_tar_header_that_would_fill_the_memory_is_refused(tmp_path):
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 2**30
    archive = tmp_path / "a.tar"
    archive.write_bytes(long_name.tobuf() + bytes(2 * tarfile.BLOCKSIZE))
    refused(archive, "A1.tsv", tmp_path / "A1.tsv", "a header of 1.07GB")


def test_a_tar_of_nested_headers_is_refused(tmp_path):
    header = tarfile.TarInfo("././@LongLink")
    header.type = tarfile.GNUTYPE_LONGNAME
    archive = tmp_path / "a.tar"
    archive.write_bytes(header.tobuf() * 5000)
    refused(archive, "A1.tsv", tmp_path / "A1.tsv", "is damaged")


def test_names_that_would_disturb_a_terminal_are_not_printed(write, tmp_path):
    archive = write({"A1\n\x1b[2J.tsv": COUNTS})
    assert "\x1b" not in refused(archive, "A1.tsv", tmp_path / "A1.tsv", "did you mean 'A1")


def test_memory_does_not_grow_with_a_member(tmp_path):
    size = 200 * MiB
    plain = tmp_path / "a.tar"
    with tarfile.open(plain, "w") as tar:
        info = tarfile.TarInfo("A1.tif")
        info.size = size
        tar.addfile(info, open("/dev/zero", "rb"))  # noqa: SIM115 - read to the size, then dropped
    script = (
        "import sys\n"
        "from reg2st.base.jobs import peak_memory_bytes\n"
        "from reg2st.sections.sources.archives import extract_members\n"
        "before = peak_memory_bytes()\n"
        "extract_members(sys.argv[1], {'A1.tif': sys.argv[2]})\n"
        "print(peak_memory_bytes() - before)\n"
    )
    assert int(printed_by(script, plain, tmp_path / "A1.tif")) < 40 * MiB
    assert (tmp_path / "A1.tif").stat().st_size == size


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_truncated_archive_is_one_sentence(write, tmp_path, kept):
    archive = write({"A1.jpg": IMAGE, "A2.jpg": IMAGE})
    data = archive.read_bytes()
    archive.write_bytes(data[: int(kept * len(data))])
    refused(archive, "A2.jpg", tmp_path / "A2.jpg", "is damaged .* download it again")


def test_a_truncated_gzip_member_is_one_sentence(write, tmp_path):
    archive = write({"A1.jpg.gz": gzip.compress(IMAGE)[:-1000]})
    for target in ("A1.jpg", "A1.jpg.gz"):
        refused(archive, target, tmp_path / target, "is damaged")


@pytest.mark.parametrize("data", [b"", b"PK", b"\x1f\x8b", b"<html>", bytes(1024) + b"A1.tsv"])
def test_what_is_no_archive_is_one_sentence(tmp_path, data):
    archive = tmp_path / "a.zip"
    archive.write_bytes(data)
    refused(archive, "A1.tsv", tmp_path / "A1.tsv", "is damaged or not a zip|holds no file")


def test_a_changed_byte_gives_the_right_file_or_one_sentence(write, tmp_path):
    generator = random.Random(1)
    whole = write({"A0.tsv": b"0", "counts/A1.tsv.gz": PACKED_COUNTS, "A2.tsv": b"2"})
    data = whole.read_bytes()
    refusals = []
    for _ in range(100):
        changed = bytearray(data)
        changed[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        whole.write_bytes(changed)
        target = tmp_path / "A1.tsv"
        try:
            extract_members(whole, {"A1.tsv": target})
            assert target.read_bytes() == COUNTS
            target.unlink()
        except UserError as error:
            refusals.append(str(error))
        assert everything_below(tmp_path) == {whole.name}
    assert len(refusals) > 10
    assert not any("\n" in sentence for sentence in refusals)


def test_a_target_that_cannot_be_written_is_one_sentence(write, tmp_path):
    archive = write({"A1.tsv": COUNTS})
    (tmp_path / "raw").write_text("a file where a folder should be")
    refused(archive, "A1.tsv", tmp_path / "raw" / "A1.tsv", "free space or correct")


def test_the_old_target_stays_when_the_new_one_fails(write, tmp_path):
    archive = write({"A1.tsv": bytes(3 * MiB)})
    target = tmp_path / "A1.tsv"
    target.write_bytes(b"old")
    refused(archive, "A1.tsv", target, "more than 2.10MB", max_bytes=2 * MiB)
    assert target.read_bytes() == b"old"


def test_legacy_encryption_is_read(tmp_path):
    """ZipCrypto, written here by hand from its definition: libraries only read it."""
    archive = tmp_path / "a.zip"
    archive.write_bytes(zip_crypto("A1.tsv", COUNTS, b"old"))
    extract_members(archive, {"A1.tsv": tmp_path / "A1.tsv"}, passwords=("wrong", "old"))
    assert (tmp_path / "A1.tsv").read_bytes() == COUNTS


def zip_crypto(name: str, data: bytes, password: bytes) -> bytes:
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc32(byte: int, crc: int) -> int:
        return (zlib.crc32(bytes([byte]), crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF) & 0xFFFFFFFF

    def update(byte: int) -> None:
        keys[0] = crc32(byte, keys[0])
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc32(keys[1] >> 24, keys[2])

    def encrypt(byte: int) -> int:
        key = (keys[2] | 2) & 0xFFFF
        update(byte)
        return byte ^ (((key * (key ^ 1)) >> 8) & 0xFF)

    for byte in password:
        update(byte)
    crc = zlib.crc32(data)
    body = bytes(encrypt(byte) for byte in bytes(11) + bytes([crc >> 24]) + data)
    encoded = name.encode()
    common = struct.pack(
        "<HHHHHLLLHH", 20, 1, 0, 0, 0x21, crc, len(body), len(data), len(encoded), 0
    )
    local = b"PK\x03\x04" + common + encoded + body
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHLL", 0, 0, 0, 0, 0)
    central += encoded
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    archive = write_tar(tmp_path / "a.tar", {"A1.tsv": bytes(3 * MiB)})
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs root to mount a small disk")
    try:
        with pytest.raises(UserError, match=r"No space left on device.*free space"):
            extract_members(archive, {"A1.tsv": small / "A1.tsv"})
        assert everything_below(small) == set()
    finally:
        subprocess.run(["umount", small], check=True)
