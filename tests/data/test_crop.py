"""A window is the same place of image, masks and truth; the middle is the published one; every place is as likely."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data import catalog
from labutils.data.crop import cut, draw_corners, middle


def places(n, height, width):
    """A batch whose image says where each pixel lies, and whose masks and truth say the same."""
    here = torch.arange(height * width).view(1, 1, height, width).repeat(n, 1, 1, 1)
    masks = (here % 251).to(torch.uint8).repeat(1, 3, 1, 1)
    return Batch(here.float() / (height * width), masks, torch.ones(n, 3, dtype=torch.bool), masks[:, 0])


def test_a_window_is_the_same_place_of_everything():
    batch = places(3, 9, 7)
    found = cut(batch, torch.tensor([[0, 0], [4, 2], [2, 1]]), 5)
    for case, (row, column) in enumerate(((0, 0), (4, 2), (2, 1))):
        here = (slice(row, row + 5), slice(column, column + 5))
        assert torch.equal(found.image[case, 0], batch.image[case, 0][here])
        assert torch.equal(found.masks[case], batch.masks[case][:, here[0], here[1]])
        assert torch.equal(found.truth[case], batch.truth[case][here])
    assert cut(batch._replace(truth=None), torch.zeros(3, 2, dtype=torch.long), 5).truth is None


def test_every_place_is_as_likely_and_follows_from_the_generator():
    drawn = draw_corners(6000, (9, 7), 5, rng_for(0, "corners"))
    counts = np.bincount((drawn[:, 0] * 3 + drawn[:, 1]).numpy(), minlength=15)
    assert drawn.shape == (6000, 2)
    assert len(counts) == 15
    assert counts == pytest.approx(np.full(15, 400), abs=5 * 400**0.5)
    assert torch.equal(drawn, draw_corners(6000, (9, 7), 5, rng_for(0, "corners")))


def test_the_middle_of_180_pixels_leaves_26_on_each_side():
    store = catalog.load("planted-two-modes", "test", limit=2)
    big = np.pad(np.asarray(store.image), ((0, 0), (0, 0), (74, 74), (74, 74)))
    masks = np.pad(np.asarray(store.masks), ((0, 0), (0, 0), (74, 74), (74, 74)))
    truth = np.pad(np.asarray(store.truth), ((0, 0), (74, 74), (74, 74)))
    whole = replace(store, image=big, masks=masks, truth=truth)
    assert big.shape[-2:] == (180, 180)
    found = middle(whole, 128)
    assert np.array_equal(found.image, big[..., 26:-26, 26:-26])
    assert np.array_equal(found.masks, masks[..., 26:-26, 26:-26])
    assert np.array_equal(found.truth, truth[..., 26:-26, 26:-26])
    assert np.array_equal(middle(whole, 32).image, store.image)
    assert middle(whole, 0) is whole
    assert middle(found, 128) is found


def test_windows_that_do_not_fit_are_refused():
    store = catalog.load("planted-two-modes", "test", limit=1)
    with pytest.raises(InputError, match="a window of 33 x 33 pixels was asked for of images of 32 x 32"):
        middle(store, 33)
    with pytest.raises(InputError, match="wanted it to fit"):
        draw_corners(1, (9, 7), 8, rng_for(0, "corners"))
    with pytest.raises(InputError, match="begins outside an image of 9 x 7"):
        cut(places(1, 9, 7), torch.tensor([[5, 0]]), 5)
