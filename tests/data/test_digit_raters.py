"""Digits with three sets of raters: the same images, another good rater, and the shares of the experiment."""

import numpy as np
import pytest
import torch

from labutils.cli.stores import training_stores
from labutils.consensus.majority import majority
from labutils.consensus.staple import staple
from labutils.core.checks import DataError
from labutils.core.runtime import numpy_rng_for
from labutils.data import catalog
from labutils.data.annotators import add_noise, annotate
from labutils.data.digit_annotators import embedded_digits
from labutils.data.digit_raters import RATERS
from labutils.metrics.overlap import dice
from tests.data.test_digit_annotators import write_mnist

NAMES = tuple(RATERS)


@pytest.fixture(scope="module")
def embedded():
    """The embedded digits of each set, both splits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LABUTILS_DATA", raising=False)
        return {name: [catalog.load(name, split) for split in ("train", "test")] for name in NAMES}


def test_the_first_four_fifths_are_learned_from_and_the_rest_tests(embedded):
    truths = embedded_digits()[1]
    for train, test in embedded.values():
        assert (len(train), len(test)) == (1437, 360)
        assert np.array_equal(np.concatenate([train.truth, test.truth]), truths)
        assert train.source == "embedded"
        assert not set(train.patients) & set(test.patients)


def test_the_images_are_those_of_every_set_and_have_the_published_noise(embedded):
    exact, noisy, bad = (embedded[name][1] for name in NAMES)
    assert np.array_equal(exact.image, noisy.image)
    assert np.array_equal(exact.image, bad.image)
    assert (exact.image[:, 0][exact.truth == 0] > 0.4).mean() == pytest.approx(0.274, abs=0.01)
    wrapped = add_noise(embedded_digits()[0][0], numpy_rng_for(0, "digit noise", "digits", 0), "wrap")
    assert np.array_equal(embedded["digits-bad"][0].image[0, 0], wrapped)


def test_the_bad_raters_are_the_same_and_the_other_is_exact_noisy_or_left_out(embedded):
    exact, noisy, bad = (embedded[name][1] for name in NAMES)
    assert np.array_equal(exact.masks[:, 1:], bad.masks)
    assert np.array_equal(noisy.masks[:, 1:], bad.masks)
    assert np.array_equal(exact.masks[:, 0], exact.truth)
    assert np.array_equal(annotate(np.array(bad.truth[3]), RATERS["digits-bad"]), bad.masks[3])
    flipped = noisy.masks[:, 0] != noisy.truth
    assert flipped.mean() == pytest.approx(0.1, abs=0.005)
    assert len({one.tobytes() for one in flipped}) == len(flipped)  # each digit has its own


def test_mnist_is_taken_where_its_test_images_are(tmp_path):
    root = write_mnist(tmp_path / "MNIST", t10k=20, train=30)
    train, test = (catalog.load("digits-exact", split, root=tmp_path) for split in ("train", "test"))
    assert (train.cases[0], train.cases[-1], test.cases[-1]) == ("t10k-0", "t10k-15", "t10k-19")
    assert test.source == "your copy"
    next(root.glob("t10k*")).unlink()
    with pytest.raises(DataError, match="has none of t10k-images"):
        catalog.load("digits-exact", "train", root=root)


def test_training_holds_digits_out_and_never_sees_the_test_split(embedded, monkeypatch):
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    train, validate = training_stores("digits-noisy", None, None)
    assert len(train) + len(validate) == 1437
    assert not set(validate.cases) & set(embedded["digits-noisy"][1].cases)


@pytest.mark.data
@pytest.mark.parametrize(("name", "share"), [("digits-exact", 0.866), ("digits-noisy", 0.815), ("digits-bad", 0.721)])
def test_real_digits_are_as_hard_as_they_were_planned(name, share):
    """Against an earlier simulation on other digits of the same file; the majority is the strict one."""
    train, test = (catalog.load(name, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (8000, 2000)
    masks, truth = (torch.from_numpy(np.array(array)) for array in (test.masks, test.truth))
    bad = masks[:, -3:].bool()
    area = bad.sum(dim=(0, 2, 3)) / truth.sum()
    assert area.tolist() == pytest.approx([1.65, 0.36, 1.92], rel=0.06)
    overlap = torch.stack([dice(bad[:, r], truth.bool()) for r in range(3)]).mean(dim=1)
    assert overlap.tolist() == pytest.approx([0.748, 0.495, 0.443], abs=0.035)
    most = majority(masks, None, 2, "strict") == 1
    assert dice(most, truth.bool()).mean().item() == pytest.approx(share, abs=0.015)


@pytest.mark.data
def test_pooled_skills_find_an_exact_rater():
    """With the prior of the truth; that of the mean vote, a quarter too high, ends at another solution."""
    test = catalog.load("digits-exact", "test")
    masks, truth = (torch.from_numpy(np.array(array)).bool() for array in (test.masks, test.truth))
    found = staple(masks, pooled=True, prior=float(truth.double().mean()))
    assert dice(found.probability > 0.5, truth).min().item() > 0.99
