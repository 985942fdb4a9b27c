"""Layers: normalization of one vector per image over a batch."""

import pytest
import torch

from labutils.core.runtime import rng_for
from labutils.models.blocks import AcrossBatch

ROWS = torch.tensor([[1.0, 10.0], [3.0, 10.5]])


def test_two_vectors_become_opposite_whatever_they_differ_by():
    """By hand: of two values the mean is halfway and the deviation is half the difference, so they become -1 and 1."""
    assert AcrossBatch(2)(ROWS).flatten().tolist() == pytest.approx([-1, -1, 1, 1], abs=1e-3)


def test_a_single_vector_is_normalized_by_what_was_seen_before():
    layer = AcrossBatch(2)
    for _ in range(200):
        layer(ROWS)
    in_training, running = layer(ROWS[1:]), layer.running_mean.clone()
    assert torch.equal(in_training, layer.eval()(ROWS[1:]))
    assert torch.equal(running, layer.running_mean)
    middle = in_training[0, 0].item()
    assert middle == pytest.approx(1 / 2**0.5, abs=1e-3)  # running variances are of n - 1


def test_in_evaluation_a_vector_does_not_depend_on_the_others():
    layer = AcrossBatch(3)
    batch = torch.randn(6, 3, generator=rng_for(0, "rows"))
    layer(batch)
    layer.eval()
    assert torch.equal(layer(batch)[2:3], layer(batch[2:3]))
