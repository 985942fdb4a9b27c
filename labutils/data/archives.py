"""Unpacking archives that somebody else made: the whole folder or nothing, and never a file outside it.

Zip and tar, the latter plain or packed with gzip, are told apart by their content. Only plain files and folders are
taken, with the rights that new files have here; links, devices and whatever else a tar file can hold are refused, and
so is every name that could mean another place or another file on some computer. Limits are judged by what is read and
written, as headers can say anything.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from labutils.core.checks import DataError, LabutilsError, require
from labutils.core.files import names_file
from labutils.core.words import controls

PIECE_BYTES = 1 << 14  # copied at a time; zipfile reads as many ahead, and what is read ahead has no ratio yet
LARGEST_HEADER = 1 << 24  # a longer one would only fill the memory
NAME_BYTES, PATH_BYTES = 255, 1024  # of one name, and of all names down to a file
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an archive may ask of this computer."""

    entries: int = 200_000  # files and folders
    total_bytes: int = 64 << 30  # unpacked
    ratio: int = 1000  # bytes unpacked for each byte read; gzip and zip cannot reach much more
    free_bytes: int = 16 << 20  # unpacked before the ratio is judged, as a few empty files pack very well


DEFAULTS = Limits()


class Entry(NamedTuple):
    """One file or folder as an archive names it."""

    name: str
    folder: bool
    odd: str  # why it is refused, such as "a symbolic link"; "" for a plain file or folder
    size: int  # bytes, as the archive says
    pieces: Callable[[], Iterator[bytes]]  # the content; for a tar file only before the next entry


def unpack(archive: str | Path, folder: str | Path, *, below: str = "", limits: Limits = DEFAULTS) -> None:
    """Unpack `archive` as `folder`, whole or not at all.

    Args:
        archive: a zip, tar or tar.gz file, whatever it is called.
        folder: what must not be there yet; it is built beside its place and renamed.
        below: a folder inside the archive, such as ``"*/LIDC_examples"``: only what it holds is unpacked, and its own
            name is left out. ``*`` stands for any one name, such as that of a repository with its commit.
        limits: the most that the archive may ask for.
    Raises:
        DataError: `folder` is there; the archive is of another kind, damaged, cut short or encrypted; it holds
            anything but plain files and folders, a name that leads elsewhere or that two files could share, or more
            than `limits` allow; or there is no file in it, or none `below`. Nothing is left behind.
    """
    archive, folder = Path(archive), Path(folder)
    require(not os.path.lexists(folder), f"{folder} is there already; nothing is unpacked over it", DataError)
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    try:
        whole = building / "whole"  # made by mkdir, so it has the rights that a new folder has here
        whole.mkdir()
        _fill(whole, archive, tuple(part for part in below.split("/") if part), limits)
        os.sync()  # a folder that is renamed before its files reach the disk could lose them in a power cut
        os.rename(whole, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _fill(folder: Path, archive: Path, below: tuple[str, ...], limits: Limits) -> None:
    meter = _Meter(archive, limits)
    taken: dict[tuple[str, ...], tuple[tuple[str, ...], bool]] = {}
    files, top = 0, None
    with contextlib.closing(_readable(archive, _entries(archive, meter))) as entries:
        for entry in entries:
            if fault := _fault_of_name(entry.name):
                _refuse(archive, entry, fault)
            parts = tuple(part for part in entry.name.removesuffix("/").split("/") if part != ".")
            if len(parts) < len(below) or any(w not in ("*", p) for w, p in zip(below, parts, strict=False)):
                continue
            top, inside = top or parts[: len(below)], parts[len(below) :]
            if fault := entry.odd or _fault_among(taken, inside, entry.folder):
                _refuse(archive, entry, fault)
            if top != parts[: len(below)]:
                _refuse(archive, entry, f"a second folder beside {'/'.join(top)}")
            if not entry.folder:
                files += 1
                _write(archive, entry, folder.joinpath(*inside))
            else:
                folder.joinpath(*inside).mkdir(parents=True, exist_ok=True)
    require(files, f"{archive} holds no file{' below ' + '/'.join(below) if below else ''}", DataError)


def _refuse(archive: Path, entry: Entry, fault: str) -> None:
    name = entry.name if len(entry.name) <= 80 else f"{entry.name[:80]}..."
    raise DataError(f"{archive} holds {name!r}, {fault}; wanted plain files and folders, so nothing was unpacked")


def _fault_of_name(name: str) -> str:
    """Why a name is refused; "" for one that means the same file below the folder on every computer."""
    parts = name.removesuffix("/").split("/")
    if "" in parts:
        return "a name that is empty or absolute"
    for part in parts:
        looks = unicodedata.normalize("NFKC", part)  # two dots in one sign, for example
        if controls(part):
            return "a name with control characters or damaged ones"
        if "/" in looks or "\\" in looks or re.match("[A-Za-z]:", looks):
            return "a name with a backslash, a drive or a hidden slash"
        if part != "." and not looks.strip(" ."):
            return "a name that leads out of the folder"
        if len(part.encode()) > NAME_BYTES:
            return f"a name of more than {NAME_BYTES} bytes"
    return f"names of more than {PATH_BYTES} bytes" if len(name.encode()) > PATH_BYTES else ""


def _fault_among(
    taken: dict[tuple[str, ...], tuple[tuple[str, ...], bool]], parts: tuple[str, ...], folder: bool
) -> str:
    """Why a name is refused beside the others; "" and kept in `taken` where it is not.

    Keys are what the least careful file system makes of a name: one case, one form of unicode.
    """
    if not parts:
        return "" if folder else "a file where a folder was wanted"
    key = tuple(_folded(part) for part in parts)
    for depth in range(1, len(parts) + 1):
        now = parts[:depth], folder or depth < len(parts)
        before = taken.setdefault(key[:depth], now)
        if before != now:
            return f"a name that is taken by {'/'.join(before[0])!r}"
        if before is not now and not now[1]:
            return "a name that occurs twice"
    return ""


def _folded(part: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", part).casefold())


def _write(archive: Path, entry: Entry, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with names_file(path), open(path, "xb") as stream:
        for piece in _readable(archive, entry.pieces()):
            written += stream.write(piece)
    if written != entry.size:
        _refuse(archive, entry, f"which unpacks to {written} bytes and is said to have {entry.size}")


def _readable(archive: Path, items: Iterator[T]) -> Generator[T, None, None]:
    """The items; whatever goes wrong in reading them is one sentence."""
    try:
        yield from items
    except (LabutilsError, MemoryError):
        raise
    except Exception as error:  # a damaged archive makes zipfile and tarfile raise nearly anything
        raise DataError(f"{archive} is damaged or cut short and cannot be unpacked: {error}") from error


class _Meter:
    """Counts what an archive asks for and refuses too much of it."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self.archive, self.limits = archive, limits
        self.entries = self.unpacked = 0

    def count_entries(self, entries: int = 1) -> None:
        self.entries += entries
        most = self.limits.entries
        require(self.entries <= most, f"{self.archive} holds more than {most} files and folders", DataError)

    def count(self, unpacked: int, packed: int) -> None:
        """Count `unpacked` more bytes; all so far came from `packed` bytes of the archive."""
        self.unpacked += unpacked
        most, ratio = self.limits.total_bytes, self.limits.ratio
        require(self.unpacked <= most, f"{self.archive} unpacks to more than {most} bytes", DataError)
        honest = self.unpacked <= max(self.limits.free_bytes, ratio * packed)
        require(honest, f"{self.archive} unpacks to more than {ratio} times its size, as no data do", DataError)


def _entries(archive: Path, meter: _Meter) -> Iterator[Entry]:
    with open(archive, "rb") as raw:
        start = raw.read(4)
        raw.seek(0)
        if start in (b"PK\x03\x04", b"PK\x05\x06"):
            yield from _zip_entries(raw, meter)
        elif start.startswith(b"\x1f\x8b"):
            yield from _tar_entries(_Forward(_Gunzip(raw), meter), meter)
        else:
            yield from _tar_entries(_Forward(raw, meter), meter)


def _zip_entries(raw: IO[bytes], meter: _Meter) -> Iterator[Entry]:
    packed, size = 0, os.fstat(raw.fileno()).st_size
    with zipfile.ZipFile(raw) as archive:
        meter.count_entries(len(archive.infolist()))
        for info in archive.infolist():

            def pieces(info: zipfile.ZipInfo = info, before: int = packed) -> Iterator[bytes]:
                with archive.open(info) as stream:
                    start = raw.tell()
                    while piece := stream.read(PIECE_BYTES):
                        meter.count(len(piece), before + max(0, raw.tell() - start - PIECE_BYTES))
                        yield piece

            packed = min(packed + info.compress_size, size)
            name = info.orig_filename  # as it stands: zipfile cuts the other at a zero byte
            yield Entry(name, name.endswith("/"), _odd_in_zip(info), info.file_size, pieces)


def _odd_in_zip(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a symbolic link" if kind == stat.S_IFLNK else "a device or pipe"
    if info.flag_bits & 1:
        return "an encrypted file"
    # The other methods give gigabytes for one piece that is read, before anything can be judged.
    plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return "" if plain else f"a file packed by the method {info.compress_type}, not stored or deflated"


class _Gunzip:
    """The content of a gzip file, read by somebody who knows how much of the file has given it.

    The gzip module reads ahead by a length of its own, so that a small bomb has exploded before its ratio is known.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw, self.rest, self.ended = raw, b"", False
        self.decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    def tell(self) -> int:
        """Bytes of the file that were used."""
        return self.raw.tell() - len(self.rest)

    def read(self, size: int) -> bytes:
        """The next `size` bytes of the content, fewer at its end."""
        plain = b""
        while len(plain) < size and not self.ended:
            piece = self.decoder.decompress(self.rest, size - len(plain))
            plain += piece
            if self.decoder.eof:
                self.rest = self.decoder.unused_data or self.raw.read(PIECE_BYTES)
                self.ended = not self.rest.strip(b"\0")  # else another part follows
                self.decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            else:
                self.rest = self.decoder.unconsumed_tail
                if not self.rest and not piece:
                    self.rest = self.raw.read(PIECE_BYTES)
                    require(self.rest, f"{self.raw.name} is cut short and cannot be unpacked", DataError)
        return plain


class _Forward:
    """A stream that tarfile reads from its start to its end, every byte counted."""

    def __init__(self, plain: IO[bytes] | _Gunzip, meter: _Meter) -> None:
        self.plain, self.meter = plain, meter
        self.position, self.last = 0, b""

    def tell(self) -> int:
        return self.position

    def read(self, size: int) -> bytes:
        honest = 0 <= size <= LARGEST_HEADER
        require(honest, f"{self.meter.archive} has a header that claims {size} bytes", DataError)
        self.last = self.plain.read(size)
        self.position += len(self.last)
        self.meter.count(len(self.last), self.plain.tell())
        return self.last

    def seek(self, position: int) -> None:
        ahead = position >= self.position
        require(ahead, f"{self.meter.archive} has a header that points back to where it was read", DataError)
        while self.position < position and self.read(min(PIECE_BYTES, position - self.position)):
            pass


def _tar_entries(stream: _Forward, meter: _Meter) -> Iterator[Entry]:
    try:
        archive = tarfile.TarFile(fileobj=stream)  # type: ignore[arg-type]
    except tarfile.ReadError as error:
        raise DataError(f"{meter.archive} is no zip and no tar archive, or its start is damaged: {error}") from error
    with archive:
        for member in archive:
            meter.count_entries()

            def pieces(member: tarfile.TarInfo = member) -> Iterator[bytes]:
                content = archive.extractfile(member)
                while content and (piece := content.read(PIECE_BYTES)):
                    yield piece

            yield Entry(member.name, member.isdir(), _odd_in_tar(member), member.size, pieces)
    # Also where a file is cut between two entries, or a header is damaged, tarfile only says that there are no more.
    require(stream.last == bytes(512), f"{meter.archive} is cut short or damaged after its first files", DataError)
    while stream.read(PIECE_BYTES):  # to the checksum of gzip
        pass


def _odd_in_tar(member: tarfile.TarInfo) -> str:
    if member.issym():
        return "a symbolic link"
    if member.islnk():
        return "a hard link"
    if member.issparse():
        return "a file with holes"
    return "" if member.isreg() or member.isdir() else "a device, a pipe or something else"
