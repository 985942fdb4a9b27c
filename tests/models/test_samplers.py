"""Sampling rules: frequencies, nesting, and the equality of Gumbel noise and a random threshold."""

import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.models.registry import build, make_config
from labutils.models.samplers import (
    SAMPLERS,
    CleanHead,
    Dropped,
    Ensemble,
    FixedMap,
    IndependentPixels,
    RandomThreshold,
    Symmetric,
    rules_for,
)

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


class Brightness:
    """Says of each pixel what its gray value is, whatever lies around it."""

    def sample(self, image, n, rng):
        return torch.stack([1 - image[:, 0], image[:, 0]], dim=1)[:, None].expand(-1, n, -1, -1, -1)


class LeftEdge:
    """Says 1 in the first column of whatever it is shown."""

    def sample(self, image, n, rng):
        first = torch.zeros_like(image[:, 0])
        first[..., 0] = 1
        return torch.stack([1 - first, first], dim=1)[:, None].expand(-1, n, -1, -1, -1)


@pytest.mark.parametrize("size", [(4, 4), (3, 5)])
def test_a_symmetry_is_undone_in_its_answer(size):
    image = torch.rand(2, 1, *size, generator=rng_for(0, "image"))
    drawn = Symmetric(Brightness()).sample(image, 20, rng_for(0, "draw"))
    assert torch.equal(drawn, Brightness().sample(image, 20, None))


@pytest.mark.parametrize(("size", "edges"), [((4, 4), 4), ((3, 5), 2)])
def test_every_symmetry_is_drawn_as_often(size, edges):
    """A first column comes back as each edge of a square, and as two edges of a rectangle."""
    drawn = Symmetric(LeftEdge()).sample(torch.rand(1, 1, *size), 4000, rng_for(0, "draw"))[0, :, 1]
    assert torch.equal(drawn.amax(dim=(1, 2)), torch.ones(4000))
    shares = [(drawn[:, :, 0] == 1).all(dim=1), (drawn[:, :, -1] == 1).all(dim=1)]
    shares += [(drawn[:, 0] == 1).all(dim=1), (drawn[:, -1] == 1).all(dim=1)]
    assert [share.float().mean().item() for share in shares[:edges]] == pytest.approx([1 / edges] * edges, abs=0.03)


def unet(**settings):
    return build("unet", make_config("unet", {"width": 4, "levels": 2, **settings}), rng_for(0, "weights")).eval()


def test_dropped_channels_differ_from_answer_to_answer_and_global_chance_is_left_alone():
    network, image = unet(dropout=0.5), torch.rand(2, 1, 8, 8)
    before = torch.random.get_rng_state()
    with torch.no_grad():
        first, again = (Dropped(network).sample(image, 3, rng_for(0, "draw")) for _ in range(2))
        assert torch.equal(network.sample(image, 1, rng_for(0)), network.sample(image, 1, rng_for(1)))
    assert torch.equal(first, again)
    assert not torch.equal(first[:, 0], first[:, 1])
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(part.training for part in network.modules())


def test_a_network_that_drops_nothing_is_refused():
    with pytest.raises(InputError, match="UNet drops no channels"):
        Dropped(unet())


def test_members_of_an_ensemble_answer_equally_often():
    maps = [FixedMap(torch.stack([torch.full((2, 2), 1 - p), torch.full((2, 2), p)])) for p in (0.1, 0.5, 0.9)]
    drawn = Ensemble(maps).sample(torch.zeros(5, 1, 2, 2), 7, rng_for(0, "draw"))[:, :, 1, 0, 0]
    assert drawn.shape == (5, 7)
    for case in drawn:
        counts = [int((case - p).abs().lt(1e-6).sum()) for p in (0.1, 0.5, 0.9)]
        assert sorted(counts) == [2, 2, 3]
    assert len({tuple(case.tolist()) for case in drawn}) > 1
    with pytest.raises(InputError, match="no members"):
        Ensemble([])


@pytest.mark.parametrize("rule", [Symmetric, lambda member: Ensemble([member, member])])
def test_members_whose_answers_differ_are_asked_for_each_answer_anew(rule):
    halves = FixedMap(torch.full((2, 6, 6), 0.5))
    drawn = rule(IndependentPixels(halves)).sample(torch.zeros(2, 1, 6, 6), 40, rng_for(0, "draw"))[:, :, 1]
    assert len({answer.numpy().tobytes() for answer in drawn.flatten(0, 1)}) == 80


@pytest.mark.parametrize(("n", "told"), [(0, "n is 0; wanted one sample or more"), (-1, "n is -1; wanted one")])
def test_fewer_samples_than_one_are_refused_by_every_rule(n, told):
    clean = build("global-cm", make_config("global-cm", {"width": 4, "levels": 2}), rng_for(0, "weights")).eval()
    network, image = unet(dropout=0.5), torch.rand(2, 1, 8, 8, generator=rng_for(0, "image"))
    rules = [TWO, Ensemble([network])]
    rules += [rule(clean if rule is CleanHead else network) for rule in SAMPLERS.values()]
    assert {type(rule) for rule in rules} >= {RandomThreshold, IndependentPixels, CleanHead, Symmetric, Dropped}
    for rule in rules:
        with pytest.raises(InputError, match=f"^{told}"):
            rule.sample(image, n, rng_for(0, "draw"))
        with pytest.raises(InputError, match=r"^rng is of type NoneType; wanted a torch\.Generator$"):
            rule.sample(image, 1, None)


def test_rules_that_mean_something_for_a_network():
    assert rules_for(unet()) == ("model", "random-threshold", "independent-pixels", "symmetries")
    assert rules_for(unet(dropout=0.1))[-1] == "dropout"
