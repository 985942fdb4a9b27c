"""Archives are unpacked whole or refused whole, and nothing is ever written beside their folder."""

import gzip
import io
import os
import random
import re
import stat
import struct
import tarfile
import zipfile

import pytest

from labutils.core.checks import DataError
from labutils.data.archives import unpack
from tests.data.archive_files import bomb_in_tar, member, patched, snapshot, tar_bytes, tar_of, zip_bytes, zip_of

GOOD = {"images/a.png": b"a" * 700, "images/b.png": b"", "masks/one/a.png": b"mask"}
LONG = random.Random(0).randbytes(200_000)


def zip_kind(kind):
    info = zipfile.ZipInfo("data/odd")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    return zip_bytes((info, b"/etc"))


def zip_with_sizes(plain_size):
    """A zip file whose headers both say that its one file has another size."""
    content = zip_bytes(("data/a", b"truth" * 100))
    return patched(content, struct.pack("<L", 500), struct.pack("<L", plain_size))


def zip_encrypted():
    content = bytearray(zip_bytes(("data/a", b"secret")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    return bytes(content)


def zip_two_names():
    """The local header names another file than the directory at the end."""
    return patched(zip_bytes(("data/safe.png", b"x")), b"data/safe.png", b"../../evil.png", 1)


def pax(header, name="data/a"):
    """A tar file whose extended header replaces a name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.pax_headers = header
        archive.addfile(info)
    return out.getvalue()


def negative_size():
    """A size of -1024 in base 256, which sends a careless reader round in circles."""
    info, content = member("data/a")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 10 + b"\xfc\x00"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + content + bytes(511 + 1024)


def spoiled_crc():
    content = bytearray(gzip.compress(tar_of("data/a")))
    content[-8] ^= 1
    return bytes(content)


def bomb_of_header():
    """A header that claims a name of 10 GB."""
    return tar_bytes(member("data/a", kind=tarfile.GNUTYPE_LONGNAME, size=10 << 30))


def damaged_second_header():
    content = bytearray(tar_of("data/a", "data/b"))
    content[1024 + 5] ^= 1
    return bytes(content)


LINK = tarfile.SYMTYPE
HOSTILE = {
    "parent folder, tar": (lambda: tar_of("../evil"), "leads out of the folder"),
    "parent folder, zip": (lambda: zip_of("../evil"), "leads out of the folder"),
    "parent folder in the middle": (lambda: tar_of("data/../../evil"), "leads out of the folder"),
    "sibling with the same start": (lambda: zip_of("../out-evil/a"), "leads out of the folder"),
    "absolute, tar": (lambda: tar_of("/evil"), "empty or absolute"),
    "absolute, zip": (lambda: zip_of("/evil"), "empty or absolute"),
    "absolute in an extended header": (lambda: pax({"path": "/evil"}), "empty or absolute"),
    "network share": (lambda: zip_of("//host/share/evil"), "empty or absolute"),
    "drive letter": (lambda: zip_of("C:/evil"), "a drive"),
    "drive letter further down": (lambda: tar_of("data/C:evil"), "a drive"),
    "backslash": (lambda: zip_of("..\\evil"), "a backslash"),
    "backslash, tar": (lambda: tar_of("data\\..\\..\\evil"), "a backslash"),
    "two dots in one sign": (lambda: tar_of("data/\u2025/evil"), "leads out of the folder"),
    "wide dots": (lambda: zip_of("\uff0e\uff0e/evil"), "leads out of the folder"),
    "wide slash": (lambda: zip_of("..\uff0fevil"), "hidden slash"),
    "dots and a space": (lambda: zip_of(".. /evil"), "leads out of the folder"),
    "dots around a sign of no width": (lambda: zip_of(".\u200b./evil"), "control characters"),
    "line break in the name": (lambda: tar_of("data/a\nb"), "control characters"),
    "zero byte in the name, zip": (lambda: patched(zip_of("data/a#b"), b"a#b", b"a\0b"), "control characters"),
    "zero byte in an extended header": (lambda: pax({"path": "data/a\0b"}), "control characters"),
    "damaged text in the name": (lambda: tar_of("data/\udcff"), "damaged ones"),
    "text that runs backward": (lambda: zip_of("data/\u202egnp.exe"), "control characters"),
    "empty name, tar": (lambda: tar_of(""), "empty or absolute"),
    "empty name, zip": (lambda: zip_bytes((zipfile.ZipInfo(""), b"x")), "empty or absolute"),
    "name too long": (lambda: tar_of("data/" + "x" * 256), "more than 255 bytes"),
    "path too long": (lambda: zip_of("/".join(["folder"] * 200)), "more than 1024 bytes"),
    "symbolic link": (lambda: tar_bytes(member("data/a", kind=LINK, target="/etc/passwd")), "a symbolic link"),
    "file through a symbolic link": (
        lambda: tar_bytes(member("data", kind=LINK, target=".."), member("data/evil")),
        "a symbolic link",
    ),
    "chain of symbolic links": (
        lambda: tar_bytes(
            member("b", kind=LINK, target="."),
            member("c", kind=LINK, target="b/.."),
            member("c/evil"),
        ),
        "a symbolic link",
    ),
    "symbolic link, zip": (lambda: zip_kind(stat.S_IFLNK), "a symbolic link"),
    "hard link": (lambda: tar_bytes(member("a", kind=tarfile.LNKTYPE, target="../victim")), "a hard link"),
    "hard link to a file inside": (
        lambda: tar_bytes(member("a"), member("b", kind=tarfile.LNKTYPE, target="a")),
        "a hard link",
    ),
    "pipe": (lambda: tar_bytes(member("data/a", kind=tarfile.FIFOTYPE)), "a device, a pipe"),
    "device": (lambda: tar_bytes(member("data/a", kind=tarfile.CHRTYPE)), "a device, a pipe"),
    "unknown kind": (lambda: tar_bytes(member("data/a", kind=b"Z")), "something else"),
    "pipe, zip": (lambda: zip_kind(stat.S_IFIFO), "a device or pipe"),
    "same name twice, tar": (lambda: tar_of("data/a", "data/a"), "occurs twice"),
    "same name twice, zip": (lambda: zip_of("data/a", "data/a"), "occurs twice"),
    "same name by a detour": (lambda: tar_of("data/a", "./data/./a"), "occurs twice"),
    "names that differ in case": (lambda: tar_of("data/a", "data/A"), "is taken by 'data/a'"),
    "folders that differ in case": (lambda: zip_of("data/a", "DATA/b"), "is taken by 'data'"),
    "one name in two forms of unicode": (lambda: zip_of("data/\u00e9", "data/e\u0301"), "is taken by"),
    "one name in compatible signs": (lambda: zip_of("data/fi", "data/\ufb01"), "is taken by 'data/fi'"),
    "file and folder of one name": (lambda: tar_of("data/a", "data/a/b"), "is taken by 'data/a'"),
    "folder and file of one name": (lambda: zip_of("data/a/b", "data/a"), "is taken by 'data/a'"),
    "bomb, tar.gz": (bomb_in_tar, "more than 1000 times its size"),
    "bomb, zip": (lambda: zip_bytes(("data/zeros", bytes(40 << 20))), "more than 1000 times its size"),
    "header that claims 10 GB": (bomb_of_header, "claims 10737418"),
    "size below zero": (negative_size, "said to have -1024"),
    "cut in a file, tar": (lambda: tar_bytes(member("data/a", LONG))[:100_000], "damaged or cut short"),
    "cut between files, tar": (lambda: tar_bytes(member("data/a"), end=False), "cut short or damaged"),
    "cut, tar.gz": (lambda: gzip.compress(tar_bytes(member("data/a", LONG)))[:100_000], "is cut short"),
    "cut, zip": (lambda: zip_bytes(("data/a", LONG))[:100_000], "damaged or cut short"),
    "wrong checksum, gzip": (spoiled_crc, "damaged or cut short"),
    "wrong checksum, zip": (
        lambda: patched(zip_bytes(("data/a", b"x" * 9), compress_type=0), b"x" * 9, b"x" * 8 + b"y"),
        "damaged or cut short",
    ),
    "damaged header later on": (damaged_second_header, "cut short or damaged"),
    "size larger than the truth": (lambda: zip_with_sizes(501), "unpacks to 500 bytes and is said to have 501"),
    "size smaller than the truth": (lambda: zip_with_sizes(499), "damaged or cut short"),
    "size larger than the archive, tar": (lambda: tar_bytes(member("data/a", size=1 << 40)), "damaged or cut short"),
    "encrypted": (zip_encrypted, "an encrypted file"),
    "packed in a way of endless ratio": (
        lambda: zip_bytes(("data/zeros", bytes(9 << 20)), compress_type=zipfile.ZIP_BZIP2),
        "packed by the method 12",
    ),
    "two names for one file": (zip_two_names, "damaged or cut short"),
    "no archive": (lambda: b"<html>Not found</html>" * 99, "no zip and no tar archive"),
    "empty file": (lambda: b"", "no zip and no tar archive"),
    "gzip of something else": (lambda: gzip.compress(LONG), "no zip and no tar archive"),
    "zip without files": (lambda: zip_bytes(), "holds no file"),
    "tar of folders": (lambda: tar_bytes(member("data", kind=tarfile.DIRTYPE)), "holds no file"),
}


@pytest.fixture
def place(tmp_path):
    """A folder with a neighbor whose name begins like that of the folder to come, and a file to attack."""
    (tmp_path / "in" / "out-evil").mkdir(parents=True)
    (tmp_path / "in" / "victim").write_bytes(b"untouched")
    return tmp_path / "in"


@pytest.mark.parametrize(("make", "text"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_refused_and_nothing_is_written(place, make, text):
    (place / "archive").write_bytes(make())
    before = snapshot(place.parent)
    with pytest.raises(DataError, match=re.escape(text)) as caught:
        unpack(place / "archive", place / "out")
    assert "archive" in str(caught.value)
    assert len(str(caught.value)) < 500
    assert snapshot(place.parent) == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: tar_bytes(*[member(name, content) for name, content in GOOD.items()]),
        lambda: gzip.compress(tar_bytes(*[member(name, content) for name, content in GOOD.items()])),
        lambda: (
            gzip.compress(tar_of()[:0])
            + gzip.compress(tar_bytes(*[member(name, content) for name, content in GOOD.items()]))
            + bytes(100)
        ),
        lambda: zip_bytes(*GOOD.items()),
        lambda: (
            pax({"comment": "a commit"}, "images/b.png")[:1536]
            + tar_bytes(*[member(name, content) for name, content in GOOD.items() if content])
        ),
    ],
    ids=["tar", "tar.gz", "tar.gz in two parts", "zip", "pax"],
)
def test_a_good_archive_is_unpacked_whatever_it_is_called(place, make):
    (place / "archive.txt").write_bytes(make())
    unpack(place / "archive.txt", place / "new" / "out")
    found = {name: content for name, (_, content) in snapshot(place / "new" / "out").items() if content is not False}
    assert found == GOOD
    assert sorted(os.listdir(place / "new")) == ["out"]


def test_rights_are_those_of_new_files(place):
    (place / "archive").write_bytes(tar_of("data/a"))
    unpack(place / "archive", place / "out")
    (place / "plain").mkdir()
    (place / "plain" / "file").touch()
    for made, plain in (("out", "plain"), ("out/data", "plain"), ("out/data/a", "plain/file")):
        assert (place / made).stat().st_mode == (place / plain).stat().st_mode


def test_folders_may_be_named_and_named_again(place):
    folder = {"kind": tarfile.DIRTYPE}
    members = [member("./", **folder), member("data/", **folder), member("data/a"), member("data/", **folder)]
    (place / "archive").write_bytes(tar_bytes(*members, member("void/", **folder)))
    unpack(place / "archive", place / "out")
    assert sorted(snapshot(place / "out")) == ["data", "data/a", "void"]


@pytest.mark.parametrize("below", ["repo-123/data", "*/data", "*/data/", "repo-123/*"])
def test_only_what_lies_below_a_folder_is_taken(place, below):
    link = member("repo-123/link", kind=LINK, target="data")  # harmless where it is not taken
    members = [member(f"repo-123/data/{name}", content) for name, content in GOOD.items()]
    (place / "archive").write_bytes(gzip.compress(tar_bytes(link, *members, member("repo-123/readme"))))
    if below == "repo-123/*":
        with pytest.raises(DataError, match="a symbolic link"):
            unpack(place / "archive", place / "out", below=below)
        return
    unpack(place / "archive", place / "out", below=below)
    assert (place / "out" / "masks" / "one" / "a.png").read_bytes() == b"mask"
    assert len([path for path in (place / "out").rglob("*") if path.is_file()]) == 3


@pytest.mark.parametrize(
    ("names", "below", "text"),
    [
        (("repo/data/a",), "repo/dat", "holds no file below repo/dat"),
        (("repo/data/a",), "repo/data/a", "a file where a folder was wanted"),
        (("one/data/a", "two/data/b"), "*/data", "a second folder beside one/data"),
        (("repo/data/a", "../evil"), "repo/data", "leads out of the folder"),
    ],
)
def test_what_lies_below_must_be_one_folder_in_an_archive_of_good_names(place, names, below, text):
    (place / "archive").write_bytes(tar_of(*names))
    before = snapshot(place)
    with pytest.raises(DataError, match=text):
        unpack(place / "archive", place / "out", below=below)
    assert snapshot(place) == before


def test_a_header_that_points_back_is_no_endless_loop(place):
    (place / "archive").write_bytes(negative_size())
    with pytest.raises(DataError, match="points back"):
        unpack(place / "archive", place / "out", below="elsewhere")


def test_what_is_there_is_never_unpacked_over(place):
    (place / "archive").write_bytes(tar_of("data/a"))
    (place / "out").symlink_to(place / "gone")
    for there in ("out", "out-evil", "victim"):
        before = snapshot(place)
        with pytest.raises(DataError, match="is there already"):
            unpack(place / "archive", place / there)
        assert snapshot(place) == before


def test_a_full_disk_leaves_nothing_behind(place, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (place / "archive").write_bytes(tar_of("data/a", "data/b"))
    before = snapshot(place)
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(place / "archive", place / "out")
    assert snapshot(place) == before
