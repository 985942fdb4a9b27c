"""The networks that come with the package: whole, small, with a card and a passport, and able to answer."""

import pytest
import torch

import labutils
from labutils.core.config import from_dict
from labutils.core.runtime import rng_for
from labutils.evaluation import leaderboard
from labutils.evaluation.passport import check_passport
from labutils.training.checkpoint import WEIGHTS
from labutils.training.settings import FitConfig
from labutils.training.trained import FOLDER, MOST_BYTES, shipped

each = pytest.mark.parametrize("name", shipped())


def test_there_are_some():
    assert {"lidc-crops-hier-prob-unet", "lidc-crops-prob-unet", "lidc-crops-ssn", "lidc-crops-unet"} == set(shipped())


@each
def test_it_is_small_and_says_what_it_is(name):
    assert (FOLDER / name / WEIGHTS).stat().st_size <= MOST_BYTES
    card = labutils.load(name).card
    check_passport(card["passport"], name)
    assert card["passport"]["code"]["changed"] is False
    assert card["passport"]["config"]["model"] == card["model"]
    assert "not a medical device" in card["about"]["limits"]
    assert all(part["source"] == "your copy" for part in card["passport"]["data"])


@each
def test_its_answers_are_probabilities_and_differ_where_it_draws(name):
    network = labutils.load(name)
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    blob = torch.exp(-((rows - 32.0) ** 2 + (columns - 32.0) ** 2) / 50)
    image = (0.35 + 0.35 * blob)[None, None]
    with torch.no_grad():
        answers = network.sample(image, 8, rng_for(0, name))
    assert answers.shape == (1, 8, 2, 64, 64)
    assert torch.allclose(answers.sum(dim=2), torch.ones(()), atol=1e-5)
    said = answers[0, :, 1]
    inside = said[:, 30:35, 30:35].mean()
    assert inside > 5 * said[:, :8].mean()  # something in the middle, next to nothing at the rim
    assert (said.std(dim=0).max() > 0.05) == network.stochastic


def test_the_recorded_scores_are_those_of_these_weights():
    """`results/lidc-crops/shipped.json` was made from the runs that the networks were copied from."""
    rows = leaderboard.recorded("lidc-crops/shipped")["rows"]
    scored = {row["passport"]["weights_sha256"] for row in rows if row["kind"] == "model"}
    assert scored == {labutils.load(name).card["passport"]["weights_sha256"] for name in shipped()}


ROWS = {
    "lidc-crops-unet": "U-Net",
    "lidc-crops-prob-unet": "probabilistic U-Net",
    "lidc-crops-hier-prob-unet": "hierarchical probabilistic U-Net",
    "lidc-crops-ssn": "stochastic segmentation network, unit 1 in 8",
}


@each
def test_it_was_trained_as_the_row_of_the_recorded_table_was(name):
    rows = {row["name"]: row["passport"] for row in leaderboard.recorded("lidc-crops/drawing")["rows"]}
    own, others = labutils.load(name).card["passport"]["config"], rows[ROWS[name]]["config"]
    assert from_dict(FitConfig, own["fit"], "fit") == from_dict(FitConfig, others["fit"], "fit")
    assert (own["model"], own["settings"]) == (others["model"], others["settings"])
