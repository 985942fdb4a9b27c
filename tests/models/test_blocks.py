"""Layers: normalization over a batch, of one vector per image and of maps, also where there is a single value."""

import pytest
import torch

from labutils.core.runtime import rng_for
from labutils.models.blocks import AcrossBatch, AcrossPixels, initialize

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


def test_maps_are_normalized_as_batch_normalization_has_it():
    """The same numbers and the same state, bit by bit, while training and after."""
    layer, plain = AcrossPixels(3), torch.nn.BatchNorm2d(3)
    for shape in ((1, 3, 2, 1), (2, 3, 1, 1), (4, 3, 5, 6)):
        maps = torch.randn(shape, generator=rng_for(0, "maps"))
        assert torch.equal(layer(maps), plain(maps))
    assert torch.equal(layer.eval()(maps), plain.eval()(maps))
    assert list(layer.state_dict()) == list(plain.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(layer.state_dict().values(), plain.state_dict().values(), strict=True))


def test_a_single_pixel_is_normalized_by_what_was_seen_before():
    layer, pixel = AcrossPixels(2), torch.tensor([[3.0, 10.5]])[:, :, None, None]
    for _ in range(200):
        layer(ROWS[:, :, None, None])
    in_training, running = layer(pixel), layer.running_mean.clone()
    assert torch.equal(in_training, layer.eval()(pixel))
    assert torch.equal(running, layer.running_mean)
    assert in_training.flatten().tolist() == pytest.approx([1 / 2**0.5] * 2, abs=1e-3)  # running variances are of n - 1


def test_weights_of_a_normalization_begin_at_one_and_its_shifts_at_zero():
    layer = AcrossPixels(2)
    with torch.no_grad():
        layer.weight.fill_(5.0)
        layer.bias.fill_(5.0)
    initialize(layer, rng_for(0, "weights"))
    assert (layer.weight.tolist(), layer.bias.tolist()) == ([1, 1], [0, 0])
