"""Files are whole or absent."""

import errno
import json
import os

import pytest

from labutils.core import files
from labutils.core.checks import DataError


def test_a_failed_write_leaves_the_earlier_file_and_no_litter(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"earlier")

    def fail_half_way():
        with files.atomic_write(path) as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_write_appears_at_once_when_it_is_done(tmp_path):
    path = tmp_path / "deep" / "a.bin"
    with files.atomic_write(path) as stream:
        stream.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"


def test_a_folder_appears_at_once_when_it_is_full(tmp_path):
    with files.new_folder(tmp_path / "deep" / "a") as building:
        (building / "file").write_bytes(b"whole")
        assert os.listdir(tmp_path / "deep") == [building.name]
    assert os.listdir(tmp_path / "deep") == ["a"]
    assert (tmp_path / "deep" / "a" / "file").read_bytes() == b"whole"
    assert (tmp_path / "deep" / "a").stat().st_mode == (tmp_path / "deep").stat().st_mode


def test_a_folder_that_fails_leaves_no_litter(tmp_path):
    def fail_half_way():
        with files.new_folder(tmp_path / "a") as building:
            (building / "file").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_a_folder_never_takes_the_place_of_anything(tmp_path, kind):
    make = {"folder": os.mkdir, "file": lambda p: open(p, "x").close(), "broken link": lambda p: os.symlink("none", p)}
    make[kind](tmp_path / "a")
    with (
        pytest.raises(DataError, match="a exists already; wanted the name of a new folder"),
        files.new_folder(tmp_path / "a"),
    ):
        pass
    assert os.listdir(tmp_path) == ["a"]


def test_the_mode_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        files.write_json(tmp_path / "a.json", {})
    finally:
        os.umask(old)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_json_there_and_back_with_equal_bytes_for_equal_values(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [2]})
    files.write_json(tmp_path / "b.json", {"a": [2], "b": 1})
    assert files.read_json(tmp_path / "a.json") == {"a": [2], "b": 1}
    assert files.sha256_of_file(tmp_path / "a.json") == files.sha256_of_file(tmp_path / "b.json")


def test_json_refuses_nan_and_writes_nothing(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [None, b"{", b"\xff", b"[" * 100_000])
def test_json_that_cannot_be_read_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json"):
        files.read_json(tmp_path / "a.json")


def test_hashes_agree(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256_of_file(tmp_path / "a") == files.sha256_of_bytes(b"a", b"bc")
    assert json.dumps(files.sha256_of_bytes(b"")).startswith('"e3b0c44298fc1c14')


def test_a_lock_is_held_by_one_and_let_go_of(tmp_path):
    def take():
        with files.only_one(tmp_path / "lock", "taken"):
            return True

    with files.only_one(tmp_path / "lock", "first"), pytest.raises(DataError, match="taken"):
        take()
    assert take()


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (OSError(errno.EFBIG, "File too large"), (errno.EFBIG, "File too large", "a.bin")),
        (OSError(errno.ENOENT, "No such file", "other.bin"), (errno.ENOENT, "No such file", "other.bin")),
        (
            OSError("2352 requested and 476 written"),
            (errno.ENOSPC, "only a part of it could be written; is the disk full?", "a.bin"),
        ),
        (OSError("strange"), (None, None, "a.bin")),
    ],
)
def test_an_error_of_writing_names_a_file(error, wanted):
    with pytest.raises(OSError) as caught, files.names_file("a.bin"):
        raise error
    assert (caught.value.errno, caught.value.strerror, caught.value.filename) == wanted


def test_plain_values_are_what_json_holds():
    value = {"a": (0.123456, float("nan")), "b": [{"c": float("-inf"), "d": 7}, None, "text", True]}
    assert files.plain(value) == {"a": [0.123456, None], "b": [{"c": None, "d": 7}, None, "text", True]}
    assert files.plain(value, 2)["a"] == [0.12, None]
