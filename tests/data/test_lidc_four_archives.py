"""The crops in archives: of the whole or of each split, unpacked once and then read as ever."""

import os
import tarfile

import pytest

from labutils.core.checks import DataError
from labutils.data import catalog, prepared
from labutils.data.prepared import read_again
from tests.data.lidc_four_files import CROPS, SLICES, write_crop, write_slice


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    return tmp_path / "cache" / "unpacked"


@pytest.fixture
def crops(tmp_path):
    """Two patients to train on, one to validate, as folders."""
    for name in CROPS:
        write_crop(tmp_path / "plain", name)
    write_crop(tmp_path / "plain", "LIDC-IDRI-0003/z-5_c0", split="val")
    return tmp_path / "plain"


def pack(archive, **folders):
    """An archive in which each folder is called by the name given for it."""
    archive.parent.mkdir(exist_ok=True)
    with tarfile.open(archive, "w:gz" if archive.name.endswith("gz") else "w") as tar:
        for name, folder in folders.items():
            tar.add(folder, arcname=name.replace("__", "/"))
    return archive


def load(root, split="train"):
    return catalog.load("lidc-four", split, root=root)


@pytest.mark.parametrize("name", ["crops.tar", "crops.tar.gz", "lidc_crops.tgz", "train.tar"])
@pytest.mark.parametrize("top", ["lidc_crops__", ""])
def test_an_archive_of_the_whole_is_read(crops, tmp_path, name, top):
    archive = pack(tmp_path / "in" / name, **{f"{top}train": crops / "train", f"{top}val": crops / "val"})
    assert load(archive).manifest == load(crops).manifest
    assert load(archive, "validate").manifest == load(crops, "validate").manifest
    assert catalog.available("lidc-four", archive) == ("train", "validate")
    with pytest.raises(DataError, match="has no files for the split 'test'"):
        load(archive, "test")
    assert sorted(os.listdir(tmp_path / "in")) == [name]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz"])
@pytest.mark.parametrize("inside", ["lidc_crops__train", "train", "images"])
def test_an_archive_of_each_split_is_read(crops, tmp_path, ending, inside):
    root = tmp_path / "data" / "lidc_crops"
    for split, sub in (("train", "train"), ("validate", "val")):
        folder = crops / sub
        names = {inside.replace("train", sub): folder}
        if inside == "images":
            names = {"images": folder / "images", "gt": folder / "gt"}
        root.mkdir(parents=True, exist_ok=True)
        pack(root / f"{sub}{ending}", **names)
        assert load(root, split).manifest == load(crops, split).manifest
    assert load(tmp_path / "data").manifest == load(crops).manifest
    assert catalog.available("lidc-four", tmp_path / "data") == ("train", "validate")


def test_whether_a_split_is_there_is_told_without_unpacking(crops, tmp_path, cache):
    pack(tmp_path / "in" / "train.tar", train=crops / "train")
    assert catalog.available("lidc-four", tmp_path / "in") == ("train",)
    assert not cache.exists()


def test_an_archive_is_unpacked_once_and_again_when_it_changes(crops, tmp_path, cache, monkeypatch):
    unpacked = []
    monkeypatch.setattr(prepared, "unpack", lambda *words, do=prepared.unpack: unpacked.append(1) or do(*words))
    archive = pack(tmp_path / "in" / "crops.tar", train=crops / "train", val=crops / "val")
    first = load(archive).manifest
    assert load(archive).manifest == first
    load(archive, "validate")
    assert len(unpacked) == len(os.listdir(cache)) == 1
    write_crop(crops, "LIDC-IDRI-0011/z-1_c0")
    pack(archive, train=crops / "train")
    assert load(archive).manifest == load(crops).manifest != first
    assert len(unpacked) == 2


def test_reading_again_unpacks_again_but_once(crops, tmp_path, cache, monkeypatch):
    archive = pack(tmp_path / "in" / "crops.tar", train=crops / "train", val=crops / "val")
    first = load(archive).manifest
    image = next(cache.rglob("*_c0.png"))
    image.unlink()
    unpacked = []
    monkeypatch.setattr(prepared, "unpack", lambda *words, do=prepared.unpack: unpacked.append(1) or do(*words))
    with read_again():
        assert load(archive).manifest == first
        load(archive, "validate")
    assert image.exists()
    assert len(unpacked) == 1


def test_a_folder_comes_before_its_archive(crops, tmp_path, cache):
    pack(crops / "train.tar", train=crops / "val")
    assert set(load(crops).patients) == {"LIDC-IDRI-0002", "LIDC-IDRI-0010"}
    assert not cache.exists()


def test_the_slices_can_be_in_an_archive_too(tmp_path):
    for number, n in SLICES.items():
        write_slice(tmp_path / "slices", number, n)
    archive = pack(tmp_path / "in" / "data.tar.gz", training=tmp_path / "slices" / "training")
    assert load(archive).manifest == load(tmp_path / "slices").manifest


def test_an_archive_of_something_else_is_refused_by_its_name(crops, tmp_path):
    archive = pack(tmp_path / "in" / "crops.tar", other=crops / "train")
    with pytest.raises(DataError, match=r"crops\.tar does not hold the dataset: wanted train or val or test with"):
        load(archive)


def test_a_hostile_archive_leaves_nothing_in_the_cache(tmp_path, cache):
    archive = tmp_path / "crops.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("train/images/../../../evil"))
    with pytest.raises(DataError, match="leads out of the folder"):
        load(archive)
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert not list(tmp_path.rglob("evil"))


def test_a_damaged_archive_is_refused_by_its_name(tmp_path):
    (tmp_path / "crops.tar").write_bytes(b"x")
    with pytest.raises(DataError, match=r"crops\.tar is no zip and no tar archive"):
        load(tmp_path / "crops.tar")
