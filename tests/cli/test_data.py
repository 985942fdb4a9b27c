"""The datasets as people ask about them."""

import json

import pytest

from labutils.data import catalog
from tests.cli.asking import ask, refused


def test_every_dataset_is_listed_with_whether_it_is_at_hand(crops, monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", str(crops))
    lines = ask("data", "list").out.splitlines()
    states = {line.split()[0]: line[20:31].strip() for line in lines[:-1]}
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


@pytest.mark.parametrize(("name", "loads"), [("bubil-crowd-6", True), ("stapler-lesions", False)])
def test_a_twin_is_written_and_says_how_to_use_it_where_it_can_be_loaded(tmp_path, name, loads):
    out = ask("data", "make-twin", name, tmp_path / "twin", "--cases", 1).out
    assert f"a twin of {name}, not the public files" in out
    assert (f"--data {name} --root {tmp_path / 'twin'}" in out) == loads
