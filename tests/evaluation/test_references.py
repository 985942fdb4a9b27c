"""References: those of every table, in one order, and Otsu's only where a threshold is an answer."""

from dataclasses import replace

import torch

from labutils.core.runtime import rng_for
from labutils.evaluation.references import references
from tests.discs import disc_store

STORE = disc_store(4)


def test_each_gives_probabilities_of_the_shape_of_answers():
    for one in references(STORE):
        probs = one.draw(STORE.batch([0]), 3, rng_for(0, one.name))
        assert probs.shape == (1, 3, 2, *STORE.image.shape[-2:])
        assert torch.allclose(probs.sum(dim=2), torch.ones(()))
        assert one.kind == ("oracle" if "rater" in one.name or "oracle" in one.name else "reference")


def test_a_threshold_is_no_answer_to_three_classes():
    names = [one.name for one in references(replace(STORE, card=replace(STORE.card, classes=3)))]
    assert names == ["blank", "mean training mask", "rater majority", "oracle sampler"]
