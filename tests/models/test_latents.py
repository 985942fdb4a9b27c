"""Beliefs about a latent vector: draws, densities and divergences by hand and against PyTorch's own."""

import math

import pytest
import torch

from labutils.core.runtime import rng_for
from labutils.models.latents import LOG_SIGMA, Gaussian, Mixture, belief, divergence, kl_weight, narrow, normal, size
from labutils.models.registry import make_config


def gaussian(mean, sigma, rows=1):
    return Gaussian(torch.tensor([mean] * rows), torch.tensor([sigma] * rows).log())


def mixture(chances, means, sigmas):
    return Mixture(torch.tensor([chances]).log(), torch.tensor([means]), torch.tensor([sigmas]).log())


def test_draws_have_the_mean_and_deviation():
    drawn = gaussian([2.0, -1.0], [0.5, 3.0]).draw(20_000, rng_for(0, "z"))[0]
    assert drawn.mean(dim=0).tolist() == pytest.approx([2.0, -1.0], abs=0.06)
    assert drawn.std(dim=0).tolist() == pytest.approx([0.5, 3.0], rel=0.03)


def test_parts_of_a_mixture_are_drawn_as_often_as_they_are_likely():
    drawn = mixture([0.7, 0.3], [[-5.0], [5.0]], [[0.1], [0.1]]).draw(5000, rng_for(0, "z"))
    assert (drawn > 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert drawn.abs().mean().item() == pytest.approx(5.0, abs=0.01)


def test_the_density_of_a_mixture_by_hand():
    """Half a standard normal and half one around 2, at 0: (phi(0) + phi(2)) / 2."""
    phi = lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    found = mixture([0.5, 0.5], [[0.0], [2.0]], [[1.0], [1.0]]).log_density(torch.zeros(1, 1))
    assert found.item() == pytest.approx(math.log((phi(0) + phi(2)) / 2), abs=1e-6)


def test_one_part_is_a_normal_distribution():
    alone, part = gaussian([0.3, -0.2], [0.5, 2.0]), mixture([1.0], [[0.3, -0.2]], [[0.5, 2.0]])
    z = torch.tensor([[0.1, 0.7]])
    assert part.log_density(z).item() == pytest.approx(alone.log_density(z).item())
    for ours, wanted in zip(part.moments(), alone, strict=True):
        assert torch.allclose(ours, wanted, atol=1e-6)


def test_numbers_by_themselves_have_the_densities_of_their_margins():
    """Parts at (0, 0) and (2, 2): either number alone at 0 as above, and both together not its square."""
    both = mixture([0.5, 0.5], [[0.0, 0.0], [2.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]])
    alone = mixture([0.5, 0.5], [[0.0], [2.0]], [[1.0], [1.0]]).log_density(torch.zeros(1, 1)).item()
    assert both.log_marginals(torch.zeros(1, 2)).flatten().tolist() == pytest.approx([alone, alone])
    assert both.log_density(torch.zeros(1, 2)).item() > 2 * alone + 0.1
    normal_ = gaussian([1.0, 0.0], [1.0, 2.0])
    z = torch.tensor([[0.3, 0.4]])
    assert normal_.log_marginals(z).sum().item() == pytest.approx(normal_.log_density(z).item())


def test_the_moments_of_a_mixture_by_hand():
    """Two parts at -1 and 3, chances 3/4 and 1/4, deviation 1: mean 0, variance 1 + 3/4 * 1 + 1/4 * 9 = 4."""
    mean, log_sigma = mixture([0.75, 0.25], [[-1.0], [3.0]], [[1.0], [1.0]]).moments()
    assert mean.item() == pytest.approx(0.0, abs=1e-6)
    assert log_sigma.exp().item() == pytest.approx(2.0)


def test_the_divergence_of_normals_is_exact_and_that_from_a_mixture_right_on_average():
    posterior, prior = gaussian([0.5], [0.4], 4000), gaussian([0.0], [1.0], 4000)
    exact = -math.log(0.4) + (0.16 + 0.25) / 2 - 0.5
    z = posterior.draw(1, rng_for(0, "z"))[:, 0]
    assert divergence(posterior, prior, z)[0].item() == pytest.approx(exact, abs=1e-6)
    same = Mixture(torch.zeros(4000, 1), prior.mean[:, None], prior.log_sigma[:, None])
    assert divergence(posterior, same, z).mean().item() == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize(("components", "numbers"), [(1, 6), (2, 14), (4, 28)])
def test_a_belief_is_read_from_as_many_numbers_as_it_needs(components, numbers):
    assert size(3, components) == numbers
    found = belief(torch.randn(5, numbers, generator=rng_for(0, "p")), 3)
    assert isinstance(found, Gaussian) == (components == 1)
    assert found.draw(7, rng_for(0, "z")).shape == (5, 7, 3)
    if components > 1:
        assert found.weights.exp().sum(dim=1).tolist() == pytest.approx([1.0] * 5)


def test_deviations_are_bounded():
    assert normal(torch.tensor([[0.0, 1e6]])).log_sigma.item() == pytest.approx(LOG_SIGMA)
    assert normal(torch.tensor([[0.0, 0.1]])).log_sigma.item() == pytest.approx(0.1, abs=1e-4)


def test_a_narrow_belief_is_never_wider_than_one():
    found = narrow(torch.tensor([[3.0, 0.0], [3.0, 1e6], [3.0, -1e6]]))
    assert found.mean.flatten().tolist() == [3, 3, 3]
    assert found.log_sigma.flatten().tolist() == pytest.approx([-LOG_SIGMA / 2, -LOG_SIGMA, 0])


@pytest.mark.parametrize("name", ["stochastic-cm", "original-cm"])
@pytest.mark.parametrize(
    ("anneal", "wanted"),
    [
        ("none", {0: 2.0, 5: 2.0}),
        ("linear", {0: 0.0, 5: 1.0, 10: 2.0, 1000: 2.0}),
        ("cyclic", {0: 0.0, 5: 1.0, 10: 2.0, 19: 2.0, 20: 0.0, 25: 1.0, 99: 2.0, 100: 2.0, 1000: 2.0}),
    ],
)
def test_the_weight_of_the_divergence_by_hand(name, anneal, wanted):
    config = make_config(name, {"anneal": anneal, "beta": 2.0, "ramp": 10})
    assert {step: kl_weight(config, step) for step in wanted} == pytest.approx(wanted)
