"""Confusion matrices against planted ones: worked by hand on a row of pixels."""

import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.metrics.confusion import (
    column_error,
    column_of_truth,
    constant_error,
    dominance,
    matrix_error,
    rim_band,
    rim_distance_px,
)

TRUTH = torch.tensor([[[0, 0, 1, 1]]], dtype=torch.uint8)  # one case, one row of four pixels
EYE = torch.eye(2)


def rates(sensitivity, specificity):
    return torch.tensor([[specificity, 1 - sensitivity], [1 - specificity, sensitivity]])


def columns_of(*rights):
    """Columns (1, R, 2, 1, 4) on `TRUTH` from p(rater is right) at each pixel."""
    right = torch.tensor(rights, dtype=torch.float64)[None, :, None, None]
    inside = TRUTH[:, None, None].bool()
    return torch.cat([torch.where(inside, 1 - right, right), torch.where(inside, right, 1 - right)], dim=2)


def random_columns(*shape):
    return torch.rand(*shape, generator=rng_for(0, "columns"), dtype=torch.float64).softmax(dim=2)


def test_matrix_error_by_hand():
    planted = torch.stack([rates(0.9, 0.8), EYE])
    estimated = torch.stack([rates(0.7, 0.8), rates(1.0, 0.9)])
    error = matrix_error(estimated, planted)  # off by .2, .2 and 0, 0; by 0, 0 and .1, .1
    assert error.mean == pytest.approx(0.6 / 8)
    assert error.largest == pytest.approx(0.2)
    assert matrix_error(planted, planted) == (0.0, 0.0)


def test_the_column_of_the_truth_by_hand():
    matrices = torch.stack([rates(0.9, 0.8), EYE])[None]
    columns = column_of_truth(matrices, TRUTH)
    assert columns.shape == (1, 2, 2, 1, 4)
    torch.testing.assert_close(columns[0, 0, 1, 0], torch.tensor([0.2, 0.2, 0.9, 0.9]))
    torch.testing.assert_close(columns.sum(dim=2), torch.ones(1, 2, 1, 4))
    torch.testing.assert_close(columns.to(torch.float64), columns_of([0.8, 0.8, 0.9, 0.9], [1.0] * 4))


def test_matrices_of_each_pixel_and_one_for_all_agree_where_they_are_equal():
    matrices = torch.rand(2, 3, 4, 4, generator=rng_for(0, "matrices")).softmax(dim=2)
    truth = torch.randint(0, 4, (2, 5, 6), generator=rng_for(0, "truth"), dtype=torch.uint8)
    wide = matrices[..., None, None].expand(-1, -1, -1, -1, 5, 6).clone()
    columns = column_of_truth(wide, truth)
    assert torch.equal(columns, column_of_truth(matrices, truth))
    assert torch.equal(columns[1, 2, :, 3, 4], matrices[1, 2, :, int(truth[1, 3, 4])])
    first = column_of_truth(wide[:1, ..., :1, :1], truth)  # as one that looks at no image gives them
    assert torch.equal(first, column_of_truth(matrices[:1].expand(2, -1, -1, -1), truth))
    wide[1, 2, :, :, 3, 4] = wide[1, 2, :, :, 3, 4].flip(0)
    changed = column_of_truth(wide, truth) != columns
    assert changed.any(dim=2).nonzero().tolist() == [[1, 2, 3, 4]]


def test_dominance_by_hand():
    """Two raters: right at .9 and .7, so .8 against .2; at .3 and .1 another truth fits better."""
    columns = columns_of([0.9, 0.3, 0.5, 1.0], [0.7, 0.1, 0.5, 1.0])
    torch.testing.assert_close(dominance(columns, TRUTH)[0, 0], torch.tensor([0.6, -0.6, 0.0, 1.0]).double())
    three = torch.tensor([0.5, 0.4, 0.1]).reshape(1, 1, 3, 1, 1)
    assert dominance(three, torch.tensor([[[0]]], dtype=torch.uint8)).item() == pytest.approx(0.1)
    assert dominance(three, torch.tensor([[[2]]], dtype=torch.uint8)).item() == pytest.approx(-0.4)


def test_the_rim_by_hand():
    distance = rim_distance_px(torch.tensor([[[0, 0, 0, 1, 1, 2]]], dtype=torch.uint8))
    assert distance.tolist() == [[[3, 2, 1, 1, 1, 1]]]
    square = torch.zeros(1, 5, 5, dtype=torch.uint8)
    square[0, 2, 2] = 1
    assert rim_distance_px(square)[0, 0].tolist() == pytest.approx([8**0.5, 5**0.5, 2, 5**0.5, 8**0.5])
    assert rim_band(square, 1).sum() == 5
    assert rim_band(square, 2**0.5).sum() == 9
    assert not rim_band(torch.ones(1, 3, 3, dtype=torch.uint8), 100).any()


def test_column_error_by_hand():
    planted, estimated = columns_of([0.9, 0.5, 0.5, 0.9], [1.0] * 4), columns_of([0.9] * 4, [1.0] * 4)
    torch.testing.assert_close(column_error(estimated, planted), torch.tensor([0.2, 0.0]).double())
    near = rim_band(TRUTH, 1)
    torch.testing.assert_close(column_error(estimated, planted, near), torch.tensor([0.4, 0.0]).double())


def test_each_pixel_counts_once_whatever_its_class_and_case():
    truth = torch.tensor([[[0, 0, 0, 1]]], dtype=torch.uint8)
    planted = column_of_truth(EYE[None, None], truth)
    estimated = column_of_truth(rates(0.6, 1.0)[None, None], truth)
    assert column_error(estimated, planted).item() == pytest.approx(0.1)  # .4 at one pixel of four
    twice = [torch.cat([columns, planted]) for columns in (estimated, planted)]
    assert column_error(*twice).item() == pytest.approx(0.05)


@pytest.mark.parametrize(("center", "expected"), [("mean", 0.8 / 4), ("median", 0.6 / 4)])
def test_constant_error_by_hand(center, expected):
    """Three background pixels at 1, 1 and .4: the mean .8 is off by .2, .2, .4; the median 1 by 0, 0, .6."""
    truth = torch.tensor([[[0, 0, 0, 1]]], dtype=torch.uint8)
    right = torch.tensor([1.0, 1.0, 0.4, 0.3]).double()
    columns = torch.stack([right, 1 - right])[None, None, :, None]
    columns[..., 3] = columns[..., 3].flip(2)
    assert constant_error(columns, truth, center=center).item() == pytest.approx(expected)


def test_no_constant_is_better_than_the_median_and_the_mean_is_a_matrix():
    truth = torch.randint(0, 3, (4, 6, 6), generator=rng_for(1, "truth"), dtype=torch.uint8)
    planted = random_columns(4, 2, 3, 6, 6)
    band = rim_band(truth, 1)
    median, mean = (constant_error(planted, truth, band, center=center) for center in ("median", "mean"))
    means = torch.zeros(2, 3, 3, dtype=torch.float64)
    for label in range(3):
        means[:, :, label] = planted.permute(0, 3, 4, 1, 2)[band & (truth == label)].mean(dim=0)
    constant = column_of_truth(means.expand(4, -1, -1, -1), truth)
    torch.testing.assert_close(column_error(constant, planted, band), mean)
    assert (median <= mean).all()
    tried = torch.rand(20, 2, 3, 3, generator=rng_for(2, "tried"), dtype=torch.float64).softmax(dim=2)
    for matrices in tried:
        constant = column_of_truth(matrices.expand(4, -1, -1, -1), truth)
        assert (column_error(constant, planted, band) >= median).all()


HALF = torch.full((1, 2, 2), 0.5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: matrix_error(HALF[0], HALF[0]), "axes"),
        (lambda: matrix_error(HALF, HALF[:, :, :1]), "wanted axes"),
        (lambda: matrix_error(HALF, HALF.repeat(2, 1, 1)), "must be equal"),
        (lambda: matrix_error(HALF * 0.9, HALF), "sum is off 1 by 0.1"),
        (lambda: matrix_error(HALF * float("nan"), HALF), "sum is off"),
        (lambda: matrix_error(torch.tensor([[[1.5, 1.0], [-0.5, 0.0]]]), HALF), "negative"),
        (lambda: column_of_truth(HALF[None], TRUTH + 1), "label 2"),
        (lambda: column_of_truth(HALF[None], TRUTH.long()), "int64"),
        (lambda: column_of_truth(HALF[None].repeat(2, 1, 1, 1), TRUTH), "for a truth of"),
        (lambda: column_of_truth(HALF[None, ..., :1], TRUTH), "for a truth of"),
        (lambda: column_of_truth(HALF[None, ..., None, None].expand(-1, -1, -1, -1, 1, 3), TRUTH), "for a truth of"),
        (lambda: rim_band(TRUTH, 0.5), "within_px is 0.5"),
        (lambda: rim_distance_px(TRUTH[0]), "axes"),
        (lambda: column_error(columns_of([1.0] * 4), columns_of([1.0] * 4), TRUTH == 2), "all False"),
        (lambda: column_error(columns_of([1.0] * 4), columns_of([1.0] * 4), TRUTH), "uint8"),
        (lambda: column_error(columns_of([1.0] * 4), columns_of([1.0] * 4, [1.0] * 4)), "must be equal"),
        (lambda: constant_error(columns_of([1.0] * 4), TRUTH, center="mode"), "center is 'mode'"),
        (lambda: constant_error(columns_of([1.0] * 4), TRUTH[:, :, :3]), "W = 4"),
        (lambda: dominance(columns_of([1.0] * 4), TRUTH * 3), "label 3"),
    ],
)
def test_refusals(call, says):
    with pytest.raises(InputError, match=says):
        call()
