"""The datasets as people ask about them."""

import json
import os

import pytest

from labutils.data import catalog
from tests.cli.asking import ask, refused, write_crops


def test_every_dataset_is_listed_with_whether_it_is_at_hand(crops, monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", str(crops))
    lines = ask("data", "list").out.splitlines()
    states = {line.split()[0]: line[18:29].strip() for line in lines[:-1]}
    assert set(states) == set(catalog.names())
    assert states["lidc-crops"] == states["lidc-raters"] == states["digit-annotators"] == "at hand"
    assert states["mnist-annotators"] == "not found"


@pytest.mark.parametrize("name", catalog.names())
def test_a_card_is_shown_whole(name):
    out, card = ask("data", "show", name).out, catalog.card(name)
    flat = " ".join(out.split())
    for text in (card.title, card.what, card.raters, card.licence, card.how_to_get, *card.quirks):
        assert " ".join(text.split()) in flat
    assert all(len(line) <= 100 or len(line[13:].split()) == 1 for line in out.splitlines())
    for download in card.downloads:
        assert all(text in out for text in (*download.urls, f" {download.to} from", download.sha256 or "--trust"))
    assert json.loads(ask("data", "show", name, "--json").out)["name"] == name


def test_an_embedded_dataset_is_at_hand_and_a_missing_one_says_how_to_get_it():
    assert "comes with labutils" in ask("data", "show", "digit-annotators").out
    assert "labutils/MNIST_examples" in " ".join(ask("data", "show", "mnist-annotators").out.split())


def test_an_unknown_dataset_is_one_sentence():
    assert "dataset is 'mnist'; wanted one of" in refused("data", "show", "mnist")
    assert ask("data").code == 2


def test_verify_says_what_each_split_holds(crops):
    answer = ask("data", "verify", "lidc-crops", "--root", crops)
    facts = dict(line.split(None, 1) for line in answer.out.splitlines())
    assert facts["train"] == "12 cases of 6 patients, 2 to 3 raters, your copy"
    assert facts["test"] == "2 cases of 1 patient, no raters, your copy; no manifest is published"
    faults = dict(line.split(None, 1) for line in answer.err.splitlines())
    assert set(faults) == {"train", "validate"}  # these crops are not the published ones
    assert all("as published: some files are others" in fault for fault in faults.values())
    assert answer.code == 2


def test_verify_of_what_comes_with_the_package_is_clean():
    answer = ask("data", "verify", "digit-annotators")
    assert answer.code == 0
    assert answer.out.count("5 raters each, embedded; no manifest is published\n") == 3


def test_verify_reads_the_files_afresh_and_tells_every_fault(tmp_path):
    root = write_crops(tmp_path / "crops", train=[1], validate=[2], test=[3])
    ask("data", "verify", "lidc-crops", "--root", root)
    path = next((root / "train" / "scans").iterdir())
    content, status = bytearray(path.read_bytes()), path.stat()
    content[-200:] = b"\xff" * 200  # the same size and time: the cache would not notice
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    next((root / "test" / "scans").iterdir()).write_bytes(b"II*")
    answer = ask("data", "verify", "lidc-crops", "--root", root)
    faults = dict(line.split(None, 1) for line in answer.err.splitlines())
    assert set(faults) == {"train", "validate", "test"}
    assert path.name in faults["train"]
    assert "cannot be read as TIFF" in faults["test"]
    assert answer.out.splitlines()[0].split(None, 1) == ["train", "cannot be read"]
    assert answer.code == 2


def test_verify_without_files_says_what_is_wanted(tmp_path):
    assert "lidc-crops was not found" in refused("data", "verify", "lidc-crops")
    assert "is not the dataset's folder" in refused("data", "verify", "lidc-crops", "--root", tmp_path)
    assert "dataset is 'mnist'" in refused("data", "verify", "mnist")
