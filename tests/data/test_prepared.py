import logging
import os

import pytest

from labutils.core.checks import DataError
from labutils.data import prepared
from labutils.data.prepared import TWIN_FILE, files_key, prepared_store, source_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stores"


def test_a_store_is_made_once_for_each_key(cache, toy_store):
    made = []

    def make():
        made.append(1)
        return toy_store()

    first, again, other = (prepared_store("toy-train", key, make) for key in ("a" * 64, "a" * 64, "b" * 64))
    assert len(made) == 2
    assert first.manifest == again.manifest == other.manifest
    assert sorted(os.listdir(cache)) == ["toy-train-" + "a" * 16, "toy-train-" + "b" * 16]


def test_a_damaged_store_is_made_again(cache, toy_store):
    prepared_store("toy", "k", toy_store)
    (cache / "toy-k" / "image.npy").write_bytes(b"")
    assert prepared_store("toy", "k", toy_store).manifest == toy_store().manifest
    assert os.listdir(cache) == ["toy-k"]


def test_a_cache_that_cannot_be_written_is_told_and_passed_by(cache, toy_store, monkeypatch, caplog):
    def full(folder, store):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepared, "write_store", full)
    with caplog.at_level(logging.WARNING):
        store = prepared_store("toy", "k", toy_store)
    assert store.manifest == toy_store().manifest
    assert "kept in memory" in caplog.text
    assert "No space left" in caplog.text


def test_what_making_raises_is_passed_on(cache):
    def make():
        raise DataError("scan.tif is damaged")

    with pytest.raises(DataError, match=r"^scan\.tif is damaged$"):
        prepared_store("toy", "k", make)
    assert not cache.exists()


def test_the_key_sees_names_sizes_times_and_facts(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a").write_text("one")

    def key(*facts):
        return files_key(folder, folder.iterdir(), *facts)

    seen = [key(), key(1), key(2)]
    (folder / "a").write_text("longer")
    seen.append(key())
    os.utime(folder / "a", (1, 1))
    seen.append(key())
    (folder / "a").rename(folder / "b")
    seen.append(key())
    assert len(set(seen)) == len(seen)
    assert key() == key()


def test_a_marked_folder_is_a_twin_and_has_another_key(tmp_path):
    before = files_key(tmp_path, [])
    assert source_of(tmp_path) == "your copy"
    (tmp_path / TWIN_FILE).write_text("{}")
    assert source_of(tmp_path) == "twin"
    assert files_key(tmp_path, []) != before


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(DataError, match="gone cannot be read"):
        files_key(tmp_path, [tmp_path / "gone"])
