"""The estimate is measured, scales with the batch, and leaves everything as it was."""

import torch

from labutils.core.types import Batch
from labutils.training.estimate import Estimate, estimate
from labutils.training.tensors import content_hash
from tests.discs import disc_store
from tests.training.test_fit import make


def batch_of(cases):
    return disc_store(cases).batch(list(range(cases)))


def test_memory_grows_with_the_batch_and_time_with_the_steps():
    network = make()
    small, large = estimate(network, batch_of(2), 10), estimate(network, batch_of(8), 10)
    parameters = sum(p.numel() for p in network.parameters())
    assert small.parameters == parameters
    fixed = 16 * parameters
    assert 3 < (large.memory_bytes - fixed) / (small.memory_bytes - fixed) < 4.5
    assert small.total_s == 10 * small.step_s > 0


def test_what_is_kept_for_the_backward_pass_is_counted_by_hand():
    """One 1x1 head on an image: the convolution keeps its input, the losses keep maps of the output's size."""
    network = make(levels=1, width=4, norm="none")
    image = torch.rand(1, 1, 64, 64)
    batch = Batch(image, torch.zeros(1, 1, 64, 64, dtype=torch.uint8), torch.ones(1, 1, dtype=torch.bool))
    fixed = 16 * sum(p.numel() for p in network.parameters())
    maps = (estimate(network, batch, 1).memory_bytes - fixed) / (64 * 64 * 4)
    assert 1 + 4 + 4 + 2 < maps < 30


def test_network_and_chance_are_left_alone():
    network = make(dropout=0.5)
    before, chance = content_hash(network.state_dict()), torch.random.get_rng_state()
    estimate(network, batch_of(2), 1)
    assert content_hash(network.state_dict()) == before
    assert torch.equal(chance, torch.random.get_rng_state())
    assert all(p.grad is None for p in network.parameters())


def test_the_sentence_uses_the_unit_a_person_would():
    def say(seconds):
        return Estimate(parameters=1234, memory_bytes=3 << 20, step_s=1, total_s=seconds).sentence()

    assert say(59) == "1,234 parameters, about 3 MiB, about 59 s"
    assert say(0.3).endswith("MiB, less than 1 s")
    assert say(600).endswith("10 min")
    assert say(9000).endswith("2 h")
