"""Drawings differ by what was asked for, in both numbers of dimensions."""

import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.core.runtime import numpy_rng_for
from labutils.data.redraw import Outline, outline_of, redrawn, smooth_noise


def ball(radius, size=64, axes=2):
    places = np.indices((size,) * axes) - (size - 1) / 2
    return np.sqrt((places**2).sum(axis=0)) <= radius


def rng(*purpose):
    return numpy_rng_for(0, "redraw", *purpose)


def test_distances_of_a_square_by_hand():
    mask = np.zeros((5, 5), bool)
    mask[1:4, 1:4] = True
    outline = outline_of(mask)
    assert outline.distance[2].tolist() == [-0.5, 0.5, 1.5, 0.5, -0.5]
    assert outline.distance[0, 0] == pytest.approx(0.5 - np.sqrt(2))
    assert outline.depth_px == 9 / 8  # the middle one is no edge
    assert outline.distance.dtype == np.float32


@pytest.mark.parametrize("axes", [2, 3])
def test_without_noise_the_object_comes_back_and_a_shift_moves_its_edge(axes):
    outline = outline_of(ball(20, axes=axes))
    assert np.array_equal(redrawn(outline, rng(), wobble=0.0), ball(20, axes=axes))
    larger = redrawn(outline, rng(), wobble=0.0, shift=3 / outline.depth_px)
    assert np.array_equal(larger, outline.distance > -3)


@pytest.mark.parametrize("radius", [5, 10, 24])
def test_overlap_follows_from_the_wobble_whatever_the_size(radius):
    outline = outline_of(ball(radius))
    drawn = [redrawn(outline, rng(k), wobble=0.25) for k in range(120)]
    overlaps = [(a & b).sum() / (a | b).sum() for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
    assert np.mean(overlaps) == pytest.approx(0.715, abs=0.03)


def test_a_drawing_is_never_empty():
    outline = outline_of(ball(3, size=16))
    assert redrawn(outline, rng(), wobble=0.0, shift=-100.0).sum() == 4  # the deepest pixels


@pytest.mark.parametrize("mask", [np.zeros((4, 4), bool), np.ones((4, 4), bool)])
def test_an_object_without_an_edge_is_refused(mask):
    with pytest.raises(InputError, match="empty or full"):
        outline_of(mask)


@pytest.mark.parametrize(("shape", "scale"), [((200, 300), 1.0), ((200, 300), 9.0), ((50, 70, 60), 3.0)])
def test_noise_has_mean_zero_and_deviation_one(shape, scale):
    found = np.stack([smooth_noise(shape, scale, rng(k)) for k in range(16)])
    assert (found.shape[1:], found.dtype) == (shape, np.float32)
    assert abs(found.mean()) < 0.06
    assert found.std() == pytest.approx(1, abs=0.1)
    step = np.abs(np.diff(found, axis=-1)).mean()
    assert step == pytest.approx(0.8 * np.sqrt(0.5) / scale, rel=0.25)  # of Gaussian correlation


def test_a_window_of_an_outline_keeps_its_depth():
    outline = outline_of(ball(10))
    part = Outline(outline.distance[20:44, 20:44], outline.depth_px)
    assert np.array_equal(redrawn(part, rng(), wobble=0.0), ball(10)[20:44, 20:44])
