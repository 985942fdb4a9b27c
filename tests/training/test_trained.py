"""Trained networks by folder and by name; what a card must say; and shipping, which makes a whole folder or none."""

import json
from dataclasses import replace

import pytest
import torch

import labutils
from labutils.core.checks import ConfigError, DataError, WeightsError
from labutils.core.runtime import rng_for
from labutils.models.registry import build, make_config
from labutils.training import trained
from labutils.training.checkpoint import PASSPORT, WEIGHTS, save_weights
from labutils.training.tensors import content_hash
from labutils.training.trained import ModelCard, ship, shipped

CARD = ModelCard(title="t", learned_from="discs", answers="discs", limits="nothing else", licence="CC0")


@pytest.fixture
def run(tmp_path):
    """A finished run, as far as shipping looks."""
    network = build("unet", make_config("unet", {"width": 2, "levels": 1}), rng_for(0, "weights"))
    folder = tmp_path / "run"
    folder.mkdir()
    save_weights(folder / WEIGHTS, network)
    (folder / PASSPORT).write_text(json.dumps({"weights_sha256": content_hash(network.state_dict())}))
    return folder


@pytest.fixture
def weights(run, tmp_path, monkeypatch):
    """A folder of networks with one in it, in the place of the package's."""
    folder = tmp_path / "weights"
    ship(run, folder / "small", CARD)
    monkeypatch.setattr(trained, "FOLDER", folder)
    return folder


def test_a_name_gives_the_network_with_its_card_and_passport(run, weights):
    assert shipped() == ("small",)
    network = labutils.load("small")
    assert network.card["about"]["limits"] == "nothing else"
    assert network.card["passport"]["weights_sha256"] == content_hash(network.state_dict())
    for mine, theirs in zip(network.parameters(), labutils.load(run).parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert "about" not in labutils.load(run).card


def test_an_unknown_name_is_refused_with_those_there_are(weights):
    with pytest.raises(WeightsError, match=r"large is not a run folder; wanted a run folder that .* or one of small"):
        labutils.load("large")


def test_other_weights_than_the_passport_s_are_refused(weights):
    (weights / "small" / PASSPORT).write_text('{"weights_sha256": "0"}')
    with pytest.raises(WeightsError, match="holds other weights than"):
        labutils.load("small")


@pytest.mark.parametrize("text", ["[]", '{"title": "t"}', "{"])
def test_a_damaged_card_is_refused(weights, text):
    (weights / "small" / "card.json").write_text(text)
    with pytest.raises(DataError):
        labutils.load("small")


def test_what_cannot_be_shipped_leaves_nothing(run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="the card says nothing of limits"):
        ship(run, out, replace(CARD, limits=" "))
    with monkeypatch.context() as patch:
        patch.setattr(trained, "MOST_BYTES", 10)
        with pytest.raises(ConfigError, match="wanted 10 at most"):
            ship(run, out, CARD)
    (run / PASSPORT).rename(run / "elsewhere")
    with pytest.raises(ConfigError, match=r"has no passport.json; wanted a finished run"):
        ship(run, out, CARD)
    assert not out.exists()


def test_the_place_is_taken(run, weights):
    with pytest.raises(ConfigError, match="is there already"):
        ship(run, weights / "small", CARD)
