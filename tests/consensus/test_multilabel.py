"""STAPLE for K classes against SimpleITK, planted matrices, and hand-worked corners."""

import math

import numpy as np
import pytest
import SimpleITK
import torch

from labutils.consensus.multilabel import multilabel_staple
from labutils.consensus.staple import staple
from labutils.core.checks import InputError
from tests.consensus.simulated import even_errors, planted_raters


def itk_multilabel(masks, undecided, iterations=None, prior=None):
    """Labels (H, W) and matrices (R, K, K) of the filter, for masks (R, H, W) that hold every label."""
    label_filter = SimpleITK.MultiLabelSTAPLEImageFilter()
    label_filter.SetLabelForUndecidedPixels(undecided)
    if iterations:
        label_filter.SetMaximumNumberOfIterations(iterations)
    if prior:
        label_filter.SetPriorProbabilities(prior)
    labels = SimpleITK.GetArrayFromImage(label_filter.Execute([SimpleITK.GetImageFromArray(m.numpy()) for m in masks]))
    classes = int(masks.max()) + 1
    found = [np.array(label_filter.GetConfusionMatrix(r)).reshape(-1, classes) for r in range(len(masks))]
    return labels, np.stack(found)[:, :classes]


def raters_for(classes, raters, most, cases=1, size=40):
    rates = [most * (r + 1) / raters for r in range(raters)]
    shares = torch.arange(classes, 0, -1, dtype=torch.float64)
    return planted_raters(classes, even_errors(rates, classes), (shares / shares.sum()).tolist(), size, cases)


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
@pytest.mark.parametrize("raters", [1, 2, 3, 4, 7, 10])
@pytest.mark.parametrize("most", [0.1, 0.5])  # share of pixels in which the worst rater errs
def test_equals_simpleitk(classes, raters, most):
    masks, _ = raters_for(classes, raters, most)
    labels, confusion = itk_multilabel(masks[0], 99)
    ours = multilabel_staple(masks, None, classes, undecided=99)
    np.testing.assert_array_equal(ours.labels[0], labels)
    np.testing.assert_allclose(ours.confusion[0], confusion, rtol=0, atol=1e-9)
    assert ours.converged.all()


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("raters", [2, 3, 4])
def test_equals_simpleitk_before_it_stops(raters, iterations):
    """Ties in the filter's own start count at the wrong place; the first steps show that ours do too."""
    masks, _ = raters_for(3, raters, 0.5)
    labels, confusion = itk_multilabel(masks[0], 99, iterations)
    ours = multilabel_staple(masks, None, 3, undecided=99, max_iterations=iterations)
    np.testing.assert_array_equal(ours.labels[0], labels)
    np.testing.assert_allclose(ours.confusion[0], confusion, rtol=0, atol=1e-9)
    assert not ours.converged.any()


def test_equals_simpleitk_with_a_prior_and_on_a_volume():
    masks, _ = raters_for(3, 5, 0.5)
    volume = torch.stack([masks, masks.roll(1, dims=-1)], dim=2)
    prior = [0.2, 0.3, 0.5]
    labels, confusion = itk_multilabel(volume[0], 9, prior=prior)
    ours = multilabel_staple(volume, None, 3, undecided=9, prior=prior)
    np.testing.assert_array_equal(ours.labels[0], labels)
    np.testing.assert_allclose(ours.confusion[0], confusion, rtol=0, atol=1e-9)


def test_recovers_planted_matrices_and_the_truth():
    masks, truth = raters_for(4, 5, 0.4, size=96)
    found = multilabel_staple(masks, None, 4, undecided=255, start="votes")
    # standard error of the worst entry: sqrt(.4 * .6 / 900) = .016
    np.testing.assert_allclose(found.confusion[0], even_errors([0.08 * (r + 1) for r in range(5)], 4), atol=0.06)
    assert (found.labels == truth).double().mean() > 0.97


def test_two_classes_from_the_votes_are_binary_staple():
    masks, _ = raters_for(2, 5, 0.3)
    ours = multilabel_staple(masks, None, 2, undecided=2, start="votes", tolerance=1e-9)
    binary = staple(masks == 1, tolerance=1e-9)
    np.testing.assert_allclose(ours.probability[:, 1], binary.probability, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.confusion[..., 1, 1], binary.sensitivity, rtol=0, atol=1e-12)


@pytest.mark.parametrize("start", ["itk", "votes"])
def test_flat_contradiction_is_undecided(start):
    masks = torch.tensor([[0, 1], [1, 0]], dtype=torch.uint8)[None, :, None, :]
    assert multilabel_staple(masks, None, 2, undecided=7, start=start).labels.tolist() == [[[7, 7]]]


@pytest.mark.parametrize("start", ["itk", "votes"])
@pytest.mark.parametrize("pooled", [False, True])
def test_absent_rater_is_as_if_not_listed(start, pooled):
    masks, _ = raters_for(3, 4, 0.4, cases=2)
    kept = multilabel_staple(masks[:, [0, 1, 3]], None, 3, undecided=3, start=start, pooled=pooled)
    masks[:, 2] = 255  # never read
    present = torch.tensor([[True, True, False, True]] * 2)
    found = multilabel_staple(masks, present, 3, undecided=3, start=start, pooled=pooled)
    assert torch.equal(found.labels, kept.labels)
    torch.testing.assert_close(found.confusion[:, [0, 1, 3]], kept.confusion)
    assert found.confusion[:, 2].isnan().all()


@pytest.mark.parametrize("start", ["itk", "votes"])
def test_pooled_equals_one_large_image(start):
    masks, _ = raters_for(3, 4, 0.4, cases=3)
    pooled = multilabel_staple(masks, None, 3, undecided=3, start=start, pooled=True)
    joined = multilabel_staple(torch.cat(list(masks), dim=-1)[None], None, 3, undecided=3, start=start)
    assert torch.equal(torch.cat(list(pooled.labels), dim=-1), joined.labels[0])
    torch.testing.assert_close(pooled.confusion, joined.confusion.expand(3, -1, -1, -1))
    alone = multilabel_staple(masks, None, 3, undecided=3, start=start)
    assert not torch.equal(alone.confusion[0], alone.confusion[1])


def test_a_class_that_nobody_gave_changes_nothing():
    masks, _ = raters_for(3, 4, 0.4)
    fewer, more = (multilabel_staple(masks, None, k, undecided=9) for k in (3, 5))
    assert torch.equal(fewer.labels, more.labels)
    assert more.confusion[..., 3:].isnan().all()
    assert more.probability[:, 3:].eq(0).all()


MASKS = torch.ones(1, 2, 3, 3, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("masks", "settings_", "says"),
    [
        (MASKS.bool(), {}, "torch.uint8"),
        (MASKS + 1, {}, "label 2"),
        (MASKS, {"undecided": 256}, "undecided"),
        (MASKS, {"undecided": -1}, "undecided"),
        (MASKS, {"start": "majority"}, "start is 'majority'"),
        (MASKS, {"prior": [1.0]}, "2 shares"),
        (MASKS, {"prior": [0.7, 0.7]}, "sum to 1"),
        (MASKS, {"prior": [-0.5, 1.5]}, "0 or more"),
        (MASKS, {"prior": [math.nan, 1.0]}, "sum to 1"),
        (MASKS, {"tolerance": -1.0}, "tolerance"),
        (MASKS, {"max_iterations": 0}, "max_iterations"),
    ],
)
def test_refusals(masks, settings_, says):
    with pytest.raises(InputError, match=says):
        multilabel_staple(masks, None, 2, **({"undecided": 2} | settings_))
