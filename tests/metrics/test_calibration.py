"""Calibration errors by hand and by loop; volume scores by hand and by integrating distribution functions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.metrics.calibration import (
    average_calibration_error,
    crps_volume,
    energy_volume,
    expected_calibration_error,
    reliability,
)


def row(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)[None, None]


def rater_rows(*rows):
    return torch.tensor(rows, dtype=torch.bool)[None, :, None]


def draw(seed, shape, share=0.5):
    return torch.rand(shape, generator=rng_for(seed, "masks")) < share


def test_by_hand():
    # bins of a half: pixels 0-2 below it, pixel 3 above
    probs, raters = row(0.0, 0.25, 0.25, 1.0), rater_rows([0, 0, 1, 1], [0, 1, 1, 0])
    found = reliability(probs, raters, bins=2)
    assert found.pixels.tolist() == [[3, 1]]
    np.testing.assert_allclose(found.confidence, [[0.5 / 3, 1.0]])
    np.testing.assert_allclose(found.frequency, [[1.5 / 3, 0.5]])
    assert expected_calibration_error(probs, raters, bins=2).item() == pytest.approx(3 / 4 * (1 / 3) + 1 / 4 * 0.5)
    assert average_calibration_error(probs, raters, bins=2).item() == pytest.approx((1 / 3 + 1 / 2) / 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bins", [1, 3, 10, 15, 20])
def test_an_edge_opens_the_bin_above_it_and_one_closes_the_last(dtype, bins):
    probs = row(*[i / bins for i in range(bins + 1)], dtype=dtype)
    raters = torch.zeros(1, 1, 1, bins + 1, dtype=torch.bool)
    assert reliability(probs, raters, bins=bins).pixels.tolist() == [[1] * (bins - 1) + [2]]


def test_empty_bins_are_nan_and_left_out():
    probs, raters = row(0.05, 0.95), rater_rows([0, 0])
    found = reliability(probs, raters)
    assert found.pixels.tolist() == [[1, *[0] * 8, 1]]
    assert found.confidence.isnan().sum() == found.frequency.isnan().sum() == 8
    assert expected_calibration_error(probs, raters).item() == pytest.approx(0.5)
    assert average_calibration_error(probs, raters).item() == pytest.approx(0.5)


def loop_errors(probs, raters, bins):
    truth = raters.double().mean(dim=0).flatten().tolist()
    holds = {}
    for p, f in zip(probs.double().flatten().tolist(), truth, strict=True):
        index = max(i for i in range(bins) if p >= i / bins)
        holds.setdefault(index, []).append((p, f))
    gaps = {i: abs(np.mean([p for p, _ in h]) - np.mean([f for _, f in h])) for i, h in holds.items()}
    return sum(len(holds[i]) * gaps[i] for i in gaps) / len(truth), np.mean(list(gaps.values()))


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    raters=st.sampled_from([1, 4, 300]),
    size=st.sampled_from([(1, 1), (5, 4), (2, 3, 3)]),
    bins=st.sampled_from([1, 7, 10]),
    seed=st.integers(0, 10**6),
)
def test_equals_a_loop(raters, size, bins, seed):
    probs = torch.rand(2, *size, generator=rng_for(seed, "probs"), dtype=torch.float64)
    masks = draw(seed, (2, raters, *size))
    expected = [loop_errors(p, m, bins) for p, m in zip(probs, masks, strict=True)]
    np.testing.assert_allclose(
        expected_calibration_error(probs, masks, bins=bins), [e[0] for e in expected], atol=1e-12
    )
    np.testing.assert_allclose(average_calibration_error(probs, masks, bins=bins), [e[1] for e in expected], atol=1e-12)


def test_the_raters_own_fraction_is_calibrated():
    raters = draw(1, (3, 4, 16, 16))
    probs = raters.double().mean(dim=1)
    np.testing.assert_allclose(expected_calibration_error(probs, raters), 0, atol=1e-15)
    np.testing.assert_allclose(average_calibration_error(1 - probs, ~raters), 0, atol=1e-15)
    assert (expected_calibration_error(1 - probs, raters) > 0.2).all()


def test_volumes_by_hand():
    # areas 1 and 3 against 2 and 4, pixels of 2 x 0.5 mm
    samples, raters = rater_rows([1, 0, 0, 0], [1, 1, 1, 0]), rater_rows([1, 1, 0, 0], [1, 1, 1, 1])
    # E|V - v| = (1 + 3 + 1 + 1) / 4, E|V - V'| = E|v - v'| = 1
    assert crps_volume(samples, raters, None, (2.0, 0.5)).item() == pytest.approx(1.5 - 0.5)
    assert energy_volume(samples, raters, None, (2.0, 0.5)).item() == pytest.approx(1.5 - 0.5 - 0.5)
    assert crps_volume(samples, raters, None, (3.0, 2.0)).item() == pytest.approx(6.0)
    assert crps_volume(samples[:, :1], raters[:, :1]).item() == 1  # one of each: the absolute error
    per_case = torch.tensor([[1.0, 1.0], [3.0, 2.0]])
    both = crps_volume(samples.expand(2, -1, -1, -1), raters.expand(2, -1, -1, -1), None, per_case)
    np.testing.assert_allclose(both, [1, 6])


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    samples=st.integers(1, 6), raters=st.sampled_from([1, 3, 300]), share=st.floats(0, 1), seed=st.integers(0, 10**6)
)
def test_volume_scores_equal_integrals_of_distribution_functions(samples, raters, share, seed):
    s, y = draw(seed, (1, samples, 2, 3, 3), share), draw(seed + 1, (1, raters, 2, 3, 3))
    drawn, seen = (m[0].flatten(1).sum(1).numpy() for m in (s, y))
    levels = np.arange(19)[:, None]  # volumes are 0 to 18 voxels
    model, reader = (drawn <= levels).mean(axis=1), seen <= levels
    spacing = (2.0, 1.0, 1.0)
    crps = 2 * ((model[:, None] - reader) ** 2).sum(axis=0).mean()
    energy = 2 * ((model - reader.mean(axis=1)) ** 2).sum()
    assert crps_volume(s, y, None, spacing).item() == pytest.approx(crps, abs=1e-9)
    assert energy_volume(s, y, None, spacing).item() == pytest.approx(energy, abs=1e-9)


def test_energy_volume_is_zero_for_the_raters_themselves():
    raters = draw(2, (2, 4, 5, 5))
    np.testing.assert_allclose(energy_volume(raters.repeat(1, 3, 1, 1), raters), 0, atol=1e-9)
    assert (crps_volume(raters, raters) > 0).all()


def test_absent_rater_is_as_if_not_listed():
    samples, raters = draw(3, (2, 5, 4, 4)), draw(4, (2, 4, 4, 4))
    probs = torch.rand(2, 4, 4, generator=rng_for(3, "probs"))
    present = torch.tensor([[True] * 4, [False, True, True, False]])
    for metric in (expected_calibration_error, average_calibration_error):
        ragged = metric(probs, raters, present)
        np.testing.assert_allclose(ragged[1:], metric(probs[1:], raters[1:, 1:3]), atol=1e-15)
    for metric in (crps_volume, energy_volume):
        np.testing.assert_allclose(metric(samples, raters, present)[1:], metric(samples[1:], raters[1:, 1:3]))


OK, MAP = torch.ones(2, 3, 4, 4, dtype=torch.bool), torch.full((2, 4, 4), 0.5)


@pytest.mark.parametrize(
    ("probs", "raters", "bins", "says"),
    [
        (MAP * torch.nan, OK, 10, "nan"),
        (MAP * 3, OK, 10, "wanted values in"),
        (MAP[0], OK, 10, "as the raters"),
        (MAP.long(), OK, 10, "floating"),
        (MAP, OK[:, :0], 10, "at least one"),
        (MAP, OK.float(), 10, "torch.bool"),
        (MAP, OK, 0, "bins"),
    ],
)
def test_refusals(probs, raters, bins, says):
    with pytest.raises(InputError, match=says):
        expected_calibration_error(probs, raters, None, bins)


@pytest.mark.parametrize(
    ("spacing", "says"), [((1.0,), "spacing_mm has shape"), ((1.0, -1.0), "positive"), ((1.0, np.nan), "positive")]
)
def test_refusals_of_spacing(spacing, says):
    with pytest.raises(InputError, match=says):
        crps_volume(OK, OK, None, spacing)
    with pytest.raises(InputError, match="second axis"):
        crps_volume(OK[:1], OK)
