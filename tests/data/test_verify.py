"""What verifying says of each split of a dataset."""

import dataclasses

import numpy as np
import pytest

from labutils.core.checks import ConfigError, DataError
from labutils.data import catalog
from labutils.data.catalog import Dataset
from labutils.data.twins import make_twin
from labutils.data.verify import Verified, verify


@pytest.fixture
def toy(monkeypatch, toy_card, toy_store, tmp_path):
    """A dataset whose splits are what the test puts into a table: a store, or the error that reading it raises."""
    splits, loaded = {"train": toy_store(5), "test": toy_store(1)}, []

    def load(split, folder, limit):
        loaded.append(split)
        if isinstance(splits[split], Exception):
            raise splits[split]
        return splits[split]

    def publish(**manifests):
        card = toy_card(manifests=tuple(manifests.items()))
        record = Dataset(card=card, load=load, folders=("toy",), holds=lambda folder, split: split in splits)
        monkeypatch.setattr(catalog, "dataset", lambda name: record)
        return splits, loaded

    (tmp_path / "toy").mkdir()
    monkeypatch.setattr(catalog, "_MODULES", {"toy": "unused"})
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path))
    return publish


def test_each_split_is_counted_and_compared(toy):
    splits, _ = toy(train=toy()[0]["train"].manifest)
    assert verify("toy") == [
        Verified("train", "5 cases of 3 patients, 1 to 3 raters, memory; equal to the published split", ""),
        Verified("test", "1 case of 1 patient, 1 rater each, memory; no manifest is published", ""),
    ]
    splits["test"] = dataclasses.replace(splits["test"], present=np.zeros((1, 1), bool))
    assert verify("toy")[1].facts.startswith("1 case of 1 patient, no raters, memory;")


def test_another_split_than_the_published_one_is_a_fault(toy):
    splits, _ = toy(train="0" * 64)
    train, test = verify("toy")
    assert train.facts == "5 cases of 3 patients, 1 to 3 raters, memory"
    assert train.fault.startswith(f"its manifest is {splits['train'].manifest}, not {'0' * 64} as published")
    assert test.fault == ""


def test_a_split_that_cannot_be_read_does_not_hide_the_others(toy):
    splits, loaded = toy()
    splits["train"] = DataError("scan.tif is damaged")
    train, test = verify("toy")
    assert train == Verified("train", "", "scan.tif is damaged")
    assert test.facts
    assert loaded == ["train", "test"]


def test_a_fault_of_the_package_itself_is_not_taken_for_one_of_the_data(toy):
    toy()[0]["train"] = KeyError("bug")
    with pytest.raises(KeyError):
        verify("toy")


def test_only_splits_with_files_are_read(toy):
    toy()[0].pop("test")
    assert [one.split for one in verify("toy")] == ["train"]


def test_without_files_the_reader_s_own_refusal_is_told(toy, monkeypatch):
    def load(split, folder, limit):
        raise DataError(f"{folder} is not the dataset's folder")

    toy()
    record = dataclasses.replace(catalog.dataset("toy"), load=load, holds=lambda folder, split: False)
    monkeypatch.setattr(catalog, "dataset", lambda name: record)
    with pytest.raises(DataError, match="toy is not the dataset's folder"):
        verify("toy")


def test_an_unknown_dataset_is_refused():
    with pytest.raises(ConfigError, match="dataset is 'lidc'"):
        verify("lidc")


def test_what_was_made_here_is_compared_with_no_manifest(tmp_path):
    make_twin("lidc-crops", tmp_path / "lidc_crops", cases=10)
    assert [(one.fault, one.facts.count("no manifest is published")) for one in verify("lidc-crops", tmp_path)] == [
        ("", 1)
    ] * 2
