"""Simulated annotators: by hand on a few pixels, and what must hold for any mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labutils.core.checks import InputError
from labutils.core.runtime import numpy_rng_for
from labutils.data.annotators import ANNOTATORS, add_noise, annotate

MASKS = arrays(np.uint8, (9, 11), elements=st.integers(0, 1))


def mask_of(*rows):
    return np.array([[int(pixel) for pixel in row] for row in rows], np.uint8)


def test_over_and_under_by_hand():
    """A 2 x 2 brush grows a pixel down and right by one pixel a stroke, and thins in the same direction."""
    pixel = mask_of("00000", "01000", "00000", "00000")
    (over,) = annotate(pixel, ["over"])
    assert over.tolist() == mask_of("00000", "01110", "01110", "01110").tolist()
    (under,) = annotate(over, ["under"])
    assert under.sum() == 1


@given(MASKS)
def test_over_holds_the_truth_and_under_is_held_by_it_in_area(truth):
    over, under, good, blank = annotate(truth, ["over", "under", "good", "blank"])
    assert (over >= truth).all()
    assert under.sum() <= truth.sum()
    assert (good == truth).all()
    assert not blank.any()


@given(MASKS)
def test_every_annotator_gives_a_mask_and_leaves_the_truth_alone(truth):
    before = truth.copy()
    drawn = annotate(truth, list(ANNOTATORS))
    assert drawn.dtype == np.uint8
    assert drawn.shape == (5, 9, 11)
    assert drawn.max(initial=0) <= 1
    assert (truth == before).all()


def test_wrong_is_another_shape_of_nothing_made_of_nothing():
    truth = np.zeros((28, 28), np.uint8)
    assert not annotate(truth, ["wrong"]).any()
    truth[6:22, 13:15] = 1
    (drawn,) = annotate(truth, ["wrong"])
    assert drawn.any()
    assert 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum()) < 0.5


def test_noisy_turns_over_a_tenth_of_all_pixels_and_the_rng_decides():
    truth = np.zeros((300, 300), np.uint8)
    truth[:, :100] = 1
    first, again, other = (annotate(truth, ["over", "noisy"], numpy_rng_for(0, name))[1] for name in ("a", "a", "b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    wrong = first != truth
    assert wrong[:, :100].mean() == pytest.approx(0.1, abs=0.01)  # standard error: .002
    assert wrong[:, 100:].mean() == pytest.approx(0.1, abs=0.01)


def test_who_draws_by_chance_needs_an_rng():
    with pytest.raises(InputError, match="'noisy' draws by chance; wanted an rng"):
        annotate(np.zeros((3, 3), np.uint8), ["good", "noisy"])


@pytest.mark.parametrize(
    ("truth", "names", "sentence"),
    [
        (np.zeros((3, 3)), ["good"], "float64"),
        (np.full((3, 3), 2, np.uint8), ["good"], "of 0 and 1"),
        (np.zeros((1, 3, 3), np.uint8), ["good"], r"\(1, 3, 3\)"),
        (np.zeros((0, 3), np.uint8), ["good"], r"\(0, 3\)"),
        (np.zeros((3, 3), np.uint8), [], "no annotator"),
        (np.zeros((3, 3), np.uint8), ["bad"], "annotator is 'bad'"),
    ],
)
def test_refusals(truth, names, sentence):
    with pytest.raises(InputError, match=sentence):
        annotate(truth, names)


def test_clipped_noise_is_faint_and_wrapped_noise_is_salt():
    """Negative draws are cast to 0 by one and to about 255 by the other, whose half is above 0.4."""
    empty = np.zeros((200, 200), np.uint8)
    clipped, wrapped = (add_noise(empty, numpy_rng_for(0, "noise"), kind) for kind in ("clip", "wrap"))
    assert clipped.max() < 0.06
    share = float((wrapped > 0.4).mean())
    assert share == pytest.approx(0.274, abs=0.01)  # P(N(2, 5) <= -1)
    assert np.array_equal(clipped[wrapped < 0.4], wrapped[wrapped < 0.4])


def test_bright_pixels_stay_in_range_and_the_seed_decides():
    gray = np.full((20, 20), 255, np.uint8)
    assert add_noise(gray, numpy_rng_for(0, "a")).max() == 1.0
    half = np.full((20, 20), 100, np.uint8)
    first, again, other = (add_noise(half, numpy_rng_for(0, name)) for name in ("a", "a", "b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32


def test_noise_refusals():
    with pytest.raises(InputError, match="noise is 'salt'"):
        add_noise(np.zeros((2, 2), np.uint8), numpy_rng_for(0), "salt")
    with pytest.raises(InputError, match="float64"):
        add_noise(np.zeros((2, 2)), numpy_rng_for(0))
