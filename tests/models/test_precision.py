"""Training in bfloat16 goes where training in float32 goes: the gradients of one step point the same way."""

import pytest
import torch

from labutils.core.runtime import rng_for
from labutils.models.registry import build, make_config
from tests.discs import disc_store

NETWORKS = {
    "prob-unet": {"width": 16, "levels": 3},
    "hier-prob-unet": {"width": 16, "levels": 6, "blocks": 1, "latents": (1, 1, 1), "loss": "elbo"},
}
BATCH = disc_store(8, size=32).batch(range(8))


def gradient(name, *, half):
    """Of the loss of fresh weights, all numbers in one row."""
    network = build(name, make_config(name, NETWORKS[name]), rng_for(0, "weights")).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        total = network.objective(BATCH, 0, rng_for(0, "objective")).total
    total.backward()
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_both_precisions_point_the_same_way(name):
    full, half = gradient(name, half=False), gradient(name, half=True)
    assert not torch.equal(full, half)
    assert float(torch.nn.functional.cosine_similarity(full, half, dim=0)) >= 0.999
