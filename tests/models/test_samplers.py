"""Sampling rules: frequencies, nesting, and the equality of Gumbel noise and a random threshold."""

import pytest
import torch

from labutils.core.runtime import rng_for
from labutils.models.samplers import SAMPLERS, FixedMap, IndependentPixels, RandomThreshold

FOREGROUND = torch.tensor([[0.0, 0.2, 0.5, 0.9, 1.0]])
TWO = FixedMap(torch.stack([1 - FOREGROUND, FOREGROUND]))
IMAGE = torch.zeros(2, 1, 1, 5)


@pytest.mark.parametrize("rule", [RandomThreshold, IndependentPixels])
def test_each_pixel_is_foreground_as_often_as_its_probability_says(rule):
    samples = rule(TWO).sample(IMAGE, 2000, rng_for(0, "draw"))
    assert samples.shape == (2, 2000, 2, 1, 5)
    assert torch.equal(samples.sum(dim=2), torch.ones(2, 2000, 1, 5))
    for case in samples:
        assert case[:, 1, 0].mean(dim=0).tolist() == pytest.approx(FOREGROUND[0].tolist(), abs=0.045)


def test_samples_of_one_threshold_are_nested_and_of_independent_pixels_are_not():
    nested = RandomThreshold(TWO).sample(IMAGE, 200, rng_for(0, "draw"))[0, :, 1, 0]
    assert (nested.diff(dim=1) >= 0).all()
    loose = IndependentPixels(TWO).sample(IMAGE, 200, rng_for(0, "draw"))[0, :, 1, 0]
    assert (loose.diff(dim=1) < 0).any()


def test_two_classes_are_a_uniform_threshold():
    """A fine ramp of probabilities shows each sample's threshold; the thresholds are uniform on (0, 1)."""
    ramp = torch.linspace(0, 1, 1001)[None]
    samples = RandomThreshold(FixedMap(torch.stack([1 - ramp, ramp]))).sample(torch.zeros(1, 1, 1, 1), 2000, rng_for(1))
    thresholds = 1 - samples[0, :, 1, 0].mean(dim=1)
    for q in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert (thresholds < q).float().mean().item() == pytest.approx(q, abs=0.04)


def test_three_classes_keep_their_frequencies():
    probs = torch.tensor([0.2, 0.3, 0.5])[:, None, None].expand(3, 1, 4)
    samples = RandomThreshold(FixedMap(probs)).sample(torch.zeros(1, 1, 1, 4), 3000, rng_for(2))
    assert samples[0].mean(dim=0)[:, 0, 0].tolist() == pytest.approx([0.2, 0.3, 0.5], abs=0.03)
    assert torch.equal(samples[..., 0], samples[..., 3])  # one draw for the whole image


def test_images_of_a_batch_get_their_own_thresholds():
    samples = RandomThreshold(TWO).sample(IMAGE, 50, rng_for(0, "draw"))
    assert not torch.equal(samples[0], samples[1])


def test_the_model_itself_is_a_rule():
    assert SAMPLERS["model"](TWO) is TWO
