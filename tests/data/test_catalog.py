from pathlib import Path

import pytest

from labutils.core.checks import ConfigError, DataError
from labutils.data import catalog
from labutils.data.catalog import Dataset


@pytest.fixture
def toys(monkeypatch, toy_card, toy_store):
    """Two datasets: one in folders, one that needs none; what their loaders were asked is kept."""
    asked = []

    def load(split, folder, limit):
        asked.append((split, folder, limit))
        return toy_store(limit or 7)

    records = {
        "toy": Dataset(card=toy_card(), load=load, folders=("toy", "Toy-1.0")),
        "made": Dataset(card=toy_card(name="made"), load=load),
        "both": Dataset(card=toy_card(name="both"), load=load, folders=("both",), embedded=True),
    }
    monkeypatch.setattr(catalog, "_MODULES", dict.fromkeys(records, "unused"))
    monkeypatch.setattr(catalog, "dataset", records.__getitem__)
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    return asked


def test_names_are_sorted_and_each_loads_by_its_own_name():
    assert catalog.names() == tuple(sorted(catalog.names()))
    assert "lidc-crops" in catalog.names()
    assert catalog.card("lidc-crops").name == "lidc-crops"


@pytest.mark.parametrize("ask", [catalog.card, catalog.searched, lambda name: catalog.load(name, "train")])
def test_an_unknown_dataset_names_those_that_exist(ask):
    with pytest.raises(
        ConfigError, match=r"dataset is 'lidc'; wanted one of .*lidc-crops.*, or the path of your own folder"
    ):
        ask("lidc")


def test_an_unknown_split_names_those_that_exist(toys):
    with pytest.raises(ConfigError, match="split of toy is 'dev'; wanted one of 'train', 'test'"):
        catalog.load("toy", "dev")
    assert toys == []


def test_a_limit_of_nothing_is_refused(toys):
    with pytest.raises(ConfigError, match="limit is 0"):
        catalog.load("made", "train", limit=0)


@pytest.mark.parametrize("folder", ["toy", "Toy-1.0", ""])
def test_the_folder_is_found_by_its_known_names_or_itself(toys, tmp_path, monkeypatch, folder):
    if folder:
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path))
    assert len(catalog.load("toy", "train", limit=2)) == 2
    assert toys == [("train", tmp_path / folder, 2)]


def test_an_argument_comes_before_the_environment(toys, tmp_path, monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path / "elsewhere"))
    catalog.load("toy", "test", root=str(tmp_path))
    assert toys == [("test", tmp_path, None)]


def test_what_was_searched_is_told(toys, tmp_path):
    (tmp_path / "Toy-1.0").mkdir()
    assert catalog.searched("toy", tmp_path) == [
        (tmp_path / "toy", False),
        (tmp_path / "Toy-1.0", True),
        (tmp_path, True),
    ]
    assert [found for _, found in catalog.searched("toy")] == [False] * 3
    assert catalog.searched("made") == []


def test_without_a_named_folder_what_was_fetched_is_found(toys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "labutils" / "toy").mkdir(parents=True)
    catalog.load("toy", "train")
    assert toys == [("train", tmp_path / "labutils" / "toy", None)]


def test_data_that_are_nowhere_say_where_was_looked(toys, tmp_path, monkeypatch):
    wanted = r"toy was not found \(looked in: \S+labutils/toy, .*, as LABUTILS_DATA is not set\); made here"
    with pytest.raises(DataError, match=wanted):
        catalog.load("toy", "train")
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"looked in: \S+gone/toy, \S+gone/Toy-1.0, \S+gone\)"):
        catalog.load("toy", "train")


def test_a_dataset_that_needs_no_files_gets_no_folder_and_refuses_one(toys):
    catalog.load("made", "train")
    assert toys == [("train", None, None)]
    for ask in (catalog.available, catalog.searched, lambda name, root: catalog.load(name, "train", root=root)):
        with pytest.raises(
            ConfigError, match=r"root is /somewhere, and made is made here and reads no files; wanted no root"
        ):
            ask("made", "/somewhere")
    assert len(toys) == 1


def test_an_embedded_dataset_takes_the_folder_where_there_is_one(toys, tmp_path, monkeypatch):
    catalog.load("both", "train")
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path / "gone"))
    catalog.load("both", "train")
    (tmp_path / "both").mkdir()
    catalog.load("both", "train", root=tmp_path)
    catalog.load("both", "train", root=tmp_path / "typo")  # named, so the reader tells what is wrong with it
    assert [folder for _, folder, _ in toys] == [None, None, tmp_path / "both", tmp_path / "typo"]
    assert catalog.available("both") == ("train", "test")
    assert catalog.available("both", tmp_path) == ()


def test_a_folder_that_a_person_named_reaches_the_reader(toys, tmp_path):
    catalog.load("toy", "train", root=tmp_path / "typo")
    assert toys == [("train", Path(tmp_path / "typo"), None)]


def test_the_splits_with_files_are_told(toys, tmp_path):
    (tmp_path / "toy" / "test").mkdir(parents=True)
    assert catalog.available("toy", tmp_path) == ("test",)
    assert catalog.available("made") == ("train", "test")
    with pytest.raises(DataError, match="was not found"):
        catalog.available("toy")


def test_a_dataset_may_name_the_folders_of_its_splits_itself(toys, tmp_path, monkeypatch, toy_card):
    def holds(folder, split):
        return (folder / {"train": "training"}.get(split, split)).is_dir()

    record = Dataset(card=toy_card(), load=print, folders=("toy",), holds=holds)
    monkeypatch.setattr(catalog, "dataset", lambda _: record)
    (tmp_path / "toy" / "training").mkdir(parents=True)
    assert catalog.available("toy", tmp_path) == ("train",)
