"""An archive that asks for too much is stopped while it is read: by small limits, and by those that hold unasked."""

import gzip
import struct
import tarfile
import zipfile
import zlib

import pytest

from labutils.core.checks import DataError
from labutils.data.archives import DEFAULTS, Limits, unpack
from tests.data.archive_files import bomb_in_tar, member, patched, snapshot, tar_of, zip_bytes, zip_of


@pytest.mark.parametrize("pack", [tar_of, lambda *names: gzip.compress(tar_of(*names)), zip_of])
@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(entries=3), "more than 3 files and folders"),
        (Limits(total_bytes=3), "unpacks to more than 3 bytes"),
    ],
)
def test_limits_hold(tmp_path, pack, limits, text):
    (tmp_path / "archive").write_bytes(pack("a", "b", "c", "d"))
    before = snapshot(tmp_path)
    with pytest.raises(DataError, match=text):
        unpack(tmp_path / "archive", tmp_path / "out", limits=limits)
    assert snapshot(tmp_path) == before
    unpack(tmp_path / "archive", tmp_path / "out", limits=Limits(entries=4))


@pytest.mark.parametrize(
    "pack", [bomb_in_tar, lambda: zip_bytes(("data/zeros", bytes(40 << 20)))], ids=["tar.gz", "zip"]
)
def test_a_bomb_is_stopped_while_it_is_read(tmp_path, monkeypatch, pack):
    """Judged at the end, the 40 MB of the bomb would all have been written."""
    written = []
    monkeypatch.setattr("labutils.data.archives._write", lambda archive, entry, path: written.extend(entry.pieces()))
    (tmp_path / "archive").write_bytes(pack())
    with pytest.raises(DataError, match="1000 times"):
        unpack(tmp_path / "archive", tmp_path / "out")
    assert sum(map(len, written)) <= DEFAULTS.free_bytes + (1 << 20)


def packed_zeros(count, wbits):
    """64 MiB of zeros `count` times over, packed by deflate as tightly as it can: 1028 to 1."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    piece = packer.compress(bytes(64 << 20)) + packer.flush(zlib.Z_FULL_FLUSH if wbits < 0 else zlib.Z_FINISH)
    return piece * count + (zlib.compress(b"", wbits=wbits) if wbits < 0 else b"")


def tar_of_10_gb():
    head, _ = member("data/zeros", size=10 << 30)
    return gzip.compress(head.tobuf(tarfile.GNU_FORMAT)) + packed_zeros(160, 31) + gzip.compress(bytes(1024))


def zip_of_10_gb():
    """Three files of 3.4 GB, stored as they are packed; then the headers are told what they hold."""
    content = packed_zeros(54, -15)
    archive = zip_bytes(*[(f"data/{i}", content) for i in range(3)], compress_type=zipfile.ZIP_STORED)
    archive = patched(archive, b"PK\3\4\x14\0\0\0\0\0", b"PK\3\4\x14\0\0\0\x08\0")
    archive = patched(archive, b"PK\1\2\x14\3\x14\0\0\0\0\0", b"PK\1\2\x14\3\x14\0\0\0\x08\0")
    return patched(archive, struct.pack("<LL", *[len(content)] * 2), struct.pack("<LL", len(content), 54 << 26))


@pytest.mark.parametrize("pack", [tar_of_10_gb, zip_of_10_gb])
def test_10_gb_in_10_mb_are_refused_by_what_holds_unasked(tmp_path, monkeypatch, pack):
    written = []
    monkeypatch.setattr(
        "labutils.data.archives._write", lambda archive, entry, path: written.extend(map(len, entry.pieces()))
    )
    (tmp_path / "archive").write_bytes(pack())
    assert (tmp_path / "archive").stat().st_size < 11_000_000
    before = snapshot(tmp_path)
    with pytest.raises(DataError, match="unpacks to more than 1000 times its size"):
        unpack(tmp_path / "archive", tmp_path / "out")
    assert sum(written) <= DEFAULTS.free_bytes + (1 << 20)
    assert snapshot(tmp_path) == before


def zip_of_folders(count):
    """A zip file of `count` empty folders, its directory written by hand, as zipfile would take long."""
    one = zip_bytes(("000000/", b""), compress_type=zipfile.ZIP_STORED)
    start, end = one.index(b"PK\1\2"), one.index(b"PK\5\6")
    entry = one[start:end]
    directory = b"".join(entry.replace(b"000000/", b"%06d/" % i) for i in range(count))
    most = min(count, 0xFFFF)  # all that the field can say; nobody believes it
    return one[:start] + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, most, most, len(directory), start, 0)


def test_200_001_entries_are_refused_by_what_holds_unasked(tmp_path):
    (tmp_path / "archive").write_bytes(zip_of_folders(200_001))
    with pytest.raises(DataError, match="holds more than 200000 files and folders"):
        unpack(tmp_path / "archive", tmp_path / "out", below="elsewhere")  # so that no folder must be made on the way
    assert not (tmp_path / "out").exists()
