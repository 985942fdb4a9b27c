"""The toy: what is planted is there."""

import numpy as np
import pytest

from labutils.core.checks import ConfigError
from labutils.data.discs import DiscsConfig, make_discs


def test_raters_are_the_truth_with_a_larger_or_smaller_radius():
    store = make_discs(DiscsConfig(cases=20, offsets_px=(-2.0, 0.0, 2.0)))
    small, same, large = (store.masks[:, r].astype(bool) for r in range(3))
    assert np.array_equal(same, store.truth.astype(bool))
    assert (small & ~same).sum() == (same & ~large).sum() == 0
    radius = np.sqrt(store.masks.sum(axis=(2, 3)) / np.pi)
    assert np.diff(radius, axis=1) == pytest.approx(2.0, abs=0.25)


def test_the_image_shows_the_truth_and_nothing_of_the_raters():
    store = make_discs(DiscsConfig(cases=50, contrast=0.5))
    inside = store.truth.astype(bool)
    ring = store.masks[:, 3].astype(bool) & ~inside
    image = store.image[:, 0]
    assert image[inside].min() >= 0.5
    assert image[ring].max() <= 0.5
    assert image[ring].mean() == pytest.approx(image[~store.masks[:, 3].astype(bool)].mean(), abs=0.01)


def test_splits_share_nothing_and_the_same_seed_gives_the_same_cases():
    train, again, other = (make_discs(DiscsConfig(cases=4), s) for s in ("train", "train", "validate"))
    assert train.manifest == again.manifest != other.manifest
    assert not set(train.patients) & set(other.patients)
    assert make_discs(DiscsConfig(cases=4, seed=1)).manifest != train.manifest


def test_more_cases_leave_the_first_ones_as_they_were():
    few, many = make_discs(DiscsConfig(cases=3)), make_discs(DiscsConfig(cases=6))
    assert many.subset([0, 1, 2]).manifest == few.manifest


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cases": 0}, "cases is 0"),
        ({"offsets_px": ()}, "offsets_px is empty"),
        ({"offsets_px": (-7.0,)}, "smallest rater's radius is -1"),
        ({"size_px": 20}, "does not fit 20 px"),
        ({"contrast": 0.0}, "contrast is 0"),
    ],
)
def test_refusals(settings, words):
    with pytest.raises(ConfigError, match=words):
        DiscsConfig(**settings)
