"""Planted raters and truths, worked by hand on a few pixels."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from labutils.core.checks import ConfigError
from labutils.core.runtime import numpy_rng_for
from labutils.data.planted_raters import (
    Everywhere,
    Over,
    Sideways,
    Under,
    draw_masks,
    even_slips,
    likeliest_masks,
    matrices_at,
    rates_matrix,
)
from labutils.data.planted_truths import ShapesConfig, digit_shapes, wavy_shapes

ROW = np.array([[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 0]], np.uint8)


def likeliest(rater, truth=ROW, classes=3):
    return likeliest_masks(matrices_at([rater], truth, classes), truth)[0].tolist()


def test_matrices_by_hand():
    assert rates_matrix(0.9, 0.7) == pytest.approx(np.array([[0.7, 0.1], [0.3, 0.9]]))
    assert even_slips(3, 0.2) == pytest.approx(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]))


def test_over_calls_near_background_its_nearest_object():
    assert likeliest(Over(width_px=2)) == [[0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2]]
    at = Over(width_px=2, chance=0.6, slip=0.2).at(ROW, 3)
    assert at[:, 0, 0, 2] == pytest.approx([0.4, 0.6, 0])
    assert at[:, 0, 0, 10] == pytest.approx([0.4, 0, 0.6])
    assert at[:, 0, 0, 0] == pytest.approx([0.8, 0.1, 0.1])
    assert at[:, 1, 0, 2] == pytest.approx([0.1, 0.8, 0.1])  # of a class that is not there


def test_under_calls_the_rim_of_all_objects_together_background():
    """Classes 1 and 2 touch, and the rim between them is no rim of an object."""
    assert likeliest(Under(width_px=2)) == [[0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0]]
    at = Under(width_px=2, chance=0.6, slip=0.2).at(ROW, 3)
    assert at[:, 1, 0, 4] == pytest.approx([0.6, 0.4, 0])
    assert at[:, 2, 0, 9] == pytest.approx([0.6, 0, 0.4])
    assert at[:, 1, 0, 6] == pytest.approx([0.1, 0.8, 0.1])


def test_sideways_slips_more_to_the_right():
    at = Sideways(left=0.0, right=0.5).at(ROW, 3)
    assert at[0, 0, 0, [0, 5, 10]] == pytest.approx([1, 0.75, 0.5])
    assert at[1, 2, 0, [0, 5, 10]] == pytest.approx([0, 0.125, 0.25])


@pytest.mark.parametrize("rater", [Over(), Under(), Sideways(), Everywhere(name="good", matrix=even_slips(3, 0.1))])
@pytest.mark.parametrize("truth", [ROW, ROW * 0, ROW * 0 + 1])
def test_columns_sum_to_one_for_any_truth(rater, truth):
    at = rater.at(truth, 3)
    assert at.shape == (3, 3, *truth.shape)
    assert at.dtype == np.float32
    assert at.sum(axis=0) == pytest.approx(1, abs=1e-6)


def test_certain_raters_never_slip_and_labels_come_at_their_rates():
    truth = np.repeat(ROW, 3000, axis=0)
    certain = Everywhere(name="certain", matrix=np.roll(np.eye(3), 1, axis=0))  # says the next class
    careless = Everywhere(name="careless", matrix=np.array([[0.2, 0, 0.1], [0.3, 1, 0.1], [0.5, 0, 0.8]]))
    drawn = draw_masks(matrices_at([certain, careless], truth, 3), truth, numpy_rng_for(0))
    assert np.array_equal(drawn[0], (truth + 1) % 3)
    said = np.bincount(drawn[1][truth == 0]) / (truth == 0).sum()
    assert said == pytest.approx([0.2, 0.3, 0.5], abs=0.02)
    assert (drawn[1][truth == 1] == 1).all()


@pytest.mark.parametrize("layout", ["nested", "neighbors"])
def test_shapes_have_their_classes_and_keep_from_the_edge(layout):
    truths = wavy_shapes(12, ShapesConfig(classes=4, layout=layout), seed=0, split="train")
    assert truths.shape == (12, 64, 64)
    for truth in truths:
        assert np.unique(truth).tolist() == [0, 1, 2, 3]
        assert label(truth > 0)[1] == 1
        assert not truth[[0, -1]].any()
        assert not truth[:, [0, -1]].any()
        next_to_background = np.unique(truth[binary_dilation(truth == 0)])
        assert next_to_background.tolist() == ([0, 1] if layout == "nested" else [0, 1, 2, 3])


def test_shapes_differ_in_form_and_their_radius_is_as_asked():
    truths = wavy_shapes(30, ShapesConfig(), seed=0, split="train")
    radius = np.sqrt(truths.sum(axis=(1, 2)) / np.pi)
    assert 9.5 < radius.min() < 12 < 16 < radius.max() < 18.5
    plain = wavy_shapes(1, ShapesConfig(wave=0.0), seed=0, split="train")[0]
    rows, columns = np.nonzero(plain)
    spread = np.hypot(rows - rows.mean(), columns - columns.mean()).max() / np.sqrt(plain.sum() / np.pi)
    assert spread == pytest.approx(1, abs=0.05)
    rows, columns = np.nonzero(truths[0])
    assert np.hypot(rows - rows.mean(), columns - columns.mean()).max() / radius[0] > 1.08


def test_more_shapes_leave_the_first_ones_and_splits_share_no_digit():
    few, many = (wavy_shapes(n, ShapesConfig(), seed=1, split="test") for n in (2, 4))
    assert np.array_equal(few, many[:2])
    splits = [digit_shapes(599, seed=0, split=split) for split in ("train", "validate", "test")]
    digits = [{one.tobytes() for one in split} for split in splits]
    assert not digits[0] & digits[1] | digits[1] & digits[2] | digits[0] & digits[2]
    assert np.array_equal(splits[0][:5], digit_shapes(5, seed=0, split="train"))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Over(chance=1.5), "chance is 1.5"),
        (lambda: Under(slip=-0.1), "slip is -0.1"),
        (lambda: Sideways(right=2.0), "right is 2"),
        (lambda: Everywhere(name="a", matrix=np.eye(3)[:2]), "wanted"),
        (lambda: Everywhere(name="a", matrix=np.ones((2, 2))), "columns sum to 1"),
        (lambda: ShapesConfig(classes=1), "classes is 1"),
        (lambda: ShapesConfig(radius_px=(5.0, 4.0)), "radius_px"),
        (lambda: ShapesConfig(size_px=32), "does not fit 32 px"),
        (lambda: ShapesConfig(wave=1.0), "wave is 1"),
        (lambda: ShapesConfig(layout="rings"), "layout is 'rings'"),
        (lambda: digit_shapes(600, seed=0, split="train"), "wanted 1 to 599"),
        (lambda: digit_shapes(1, seed=0, split="dev"), "split is 'dev'"),
    ],
)
def test_refusals(call, says):
    with pytest.raises(ConfigError, match=says):
        call()
