import dataclasses

import pytest

from labutils.core.checks import InputError
from labutils.core.config import from_dict, to_dict
from labutils.data.cards import Card, require_identified


def test_identified_raters_pass_and_exchangeable_ones_are_refused_by_name(toy_card):
    require_identified(toy_card(identified=True), "a confusion matrix per rater")
    with pytest.raises(InputError, match=r"^a confusion matrix per rater needs rater k .* of 'toy' are exchangeable"):
        require_identified(toy_card(identified=False), "a confusion matrix per rater")


def test_a_card_survives_json(toy_card):
    card = toy_card(quirks=("one", "two"), manifests=(("train", "ab"),), spacing_known=False)
    assert from_dict(Card, to_dict(card)) == card


def test_a_card_is_frozen(toy_card):
    with pytest.raises(dataclasses.FrozenInstanceError):
        toy_card().name = "other"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"licence": ""}, "licence is empty"),
        ({"classes": 1}, "wanted 2 or more"),
        ({"splits": ()}, "splits is empty"),
        ({"manifests": (("dev", "ab"),)}, "'dev', which is no split"),
    ],
)
def test_a_card_that_says_too_little_is_refused(toy_card, changes, text):
    with pytest.raises(InputError, match=text):
        toy_card(**changes)
