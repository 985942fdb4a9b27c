"""The datasets as people ask about them."""

import json
import pickle

import pytest

from labutils.data import catalog
from tests.cli.asking import ask, refused
from tests.data.pickles import dump, some_crops, three_patients


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
    assert max(map(len, out.splitlines())) <= 113  # a long address is not broken
    assert json.loads(ask("data", "show", name, "--json").out)["name"] == name


def test_an_embedded_dataset_is_at_hand_and_a_missing_one_says_how_to_get_it():
    assert "comes with labutils" in ask("data", "show", "digit-annotators").out
    assert "not found; looked in nowhere" in " ".join(ask("data", "show", "mnist-annotators").out.split())


def test_an_unknown_dataset_is_one_sentence():
    assert "dataset is 'mnist'; wanted one of" in refused("data", "show", "mnist")
    assert ask("data").code == 2


def test_a_pickle_is_converted_with_a_warning_and_a_count(tmp_path):
    series = three_patients()
    path = dump(tmp_path / "data_lidc.pickle", some_crops(series))
    out = ask("data", "convert-pickle", path, tmp_path / "lidc_four").out
    assert "a pickle: such a file can hold code" in out
    assert "4 of the 15096 published crops, 4 series of 3 patients; train 2, validate 1, test 1" in out
    assert len(catalog.load("lidc-four", "train", root=tmp_path)) == 2
    assert "exists already" in refused("data", "convert-pickle", path, tmp_path / "lidc_four")


def test_a_hostile_pickle_is_one_sentence(tmp_path):
    path = tmp_path / "data_lidc.pickle"
    path.write_bytes(pickle.dumps(print))
    assert "names 'builtins.print', which may run code" in refused("data", "convert-pickle", path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_twin_is_made_and_used_like_the_original(tmp_path):
    out = ask("data", "make-twin", "lidc-four", tmp_path / "slices", "--form", "slices", "--cases", 4).out
    assert f"wrote {tmp_path / 'slices'}: a twin of lidc-four, not the public files; train 4" in out
    assert f"--data lidc-four --root {tmp_path / 'slices'}" in out
    assert catalog.load("lidc-four", "train", root=tmp_path / "slices").source == "twin"
    assert "exists already" in refused("data", "make-twin", "lidc-four", tmp_path / "slices")
    assert "twin is 'mnist'; wanted one of" in refused("data", "make-twin", "mnist", tmp_path / "mnist")
