"""Files and folders that are whole or absent: atomic writing, and hashes of content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from labutils.core.checks import DataError

_PART = re.compile(r"\d+ requested and \d+ written")  # all that NumPy and tifffile say of a write that was cut short


@contextlib.contextmanager
def names_file(path: str | Path) -> Iterator[None]:
    """Around writing a file: an `OSError` that names no file, as those of a full disk do, leaves with `path` in it.

    Raises:
        OSError: as it came, or the one that stands for a library's "requested and written"; ``filename`` is set.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None and _PART.fullmatch(str(error)):
            # which of the reasons it was is lost: no space, a quota, a limit on the size of files
            raise OSError(errno.ENOSPC, "only a part of it could be written; is the disk full?", str(path)) from error
        if error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a neighbor of `path` for writing; on leaving, flush it to disk and move it to `path` in one step.

    If anything fails inside, the neighbor is removed and an earlier file at `path` is left as it was; an `OSError`
    that names no file leaves with `path` in it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with names_file(path), os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """Give an empty neighbor of `folder` to fill; on leaving, rename it to `folder` in one step.

    If anything fails inside, the neighbor is removed and nothing appears at `folder`; an `OSError` that names no file
    leaves with `folder` in it.

    Raises:
        DataError: there is something at `folder` already.
    """
    folder = Path(folder)
    if os.path.lexists(folder):
        raise DataError(f"{folder} exists already; wanted the name of a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    try:
        with names_file(folder):
            yield building
        os.chmod(building, 0o777 & ~_umask())
        os.rename(building, folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


@contextlib.contextmanager
def only_one(lock: str | Path, refusal: str) -> Iterator[None]:
    """Hold the lock file `lock`, in a folder that exists; the system lets go of it however the process ends.

    Raises:
        DataError: another process holds it; `refusal` is the sentence.
    """
    import fcntl

    with open(lock, "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(refusal) from error
        yield


def kind_of(path: str | Path) -> str:
    """What is at a path, links followed, such as "a file", "a folder" or "a pipe"; "" where nothing is."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # ENOENT, a loop of links, a folder that must not be entered
        return "a link that leads nowhere" if os.path.islink(path) else ""
    tests = {"a file": stat.S_ISREG, "a folder": stat.S_ISDIR, "a pipe": stat.S_ISFIFO, "a socket": stat.S_ISSOCK}
    return next((kind for kind, test in tests.items() if test(mode)), "a device")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def plain(value: Any, digits: int | None = None) -> Any:
    """`value` as JSON can hold it: NaN and infinity become null, tuples lists; numbers are rounded to `digits`."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return value if digits is None else round(value, digits)
    if isinstance(value, Mapping):
        return {key: plain(inner, digits) for key, inner in value.items()}
    return [plain(inner, digits) for inner in value] if isinstance(value, list | tuple) else value


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all; keys sorted, so equal values give equal bytes."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
    with atomic_write(path) as stream:
        stream.write(text.encode())


def read_json(path: str | Path) -> Any:
    """The value of a JSON file.

    Raises:
        DataError: the file is missing or does not parse.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error


def sha256_of_bytes(*parts: bytes) -> str:
    """Hex SHA-256 of the parts put end to end."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def sha256_of_file(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
