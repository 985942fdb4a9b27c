"""Surface distances on shapes with known answers, by brute force, and against MONAI."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.metrics.surface import (
    average_symmetric_surface_distance,
    hausdorff,
    hausdorff_percentile,
    surface_dice,
    surface_pixels,
)


def box(shape, *ranges):
    mask = torch.zeros(1, *shape, dtype=torch.bool)
    mask[(0, *(slice(*r) for r in ranges))] = True
    return mask


def blobs(seed, shape):
    """Smooth random masks, never empty."""
    noise = torch.rand(2, 1, *shape, generator=rng_for(seed, "blobs"))
    pool = torch.nn.functional.avg_pool3d if len(shape) == 3 else torch.nn.functional.avg_pool2d
    smooth = pool(noise, 3, stride=1, padding=1)
    return tuple((m > m.median()) for m in smooth)


def brute_force(a, b, spacing):
    """Directed distances by comparing every surface pixel with every other."""

    def surface(mask):
        padded, points = np.pad(mask, 1), []
        for point in np.argwhere(mask):
            steps = [axis_step for axis in np.eye(mask.ndim, dtype=int) for axis_step in (axis, -axis)]
            if not all(padded[tuple(point + 1 + step)] for step in steps):
                points.append(point * np.array(spacing))
        return points

    first, second = surface(a), surface(b)
    there = [min(math.dist(p, q) for q in second) for p in first]
    back = [min(math.dist(p, q) for q in first) for p in second]
    return np.array(there), np.array(back)


def test_surface_of_a_square_and_of_the_border():
    square = box((5, 5), (1, 4), (1, 4))[0].numpy()
    assert surface_pixels(square).sum() == 8
    assert surface_pixels(np.ones((4, 4), bool)).sum() == 12
    assert surface_pixels(np.ones((3, 3, 3), bool)).sum() == 26


@pytest.mark.parametrize(("spacing", "unit"), [((1.0, 1.0), 1.0), ((2.0, 0.7), 0.7)])
def test_shifted_squares_by_hand(spacing, unit):
    a, b = box((20, 30), (5, 12), (4, 11)), box((20, 30), (5, 12), (7, 14))
    assert hausdorff(a, b, spacing).item() == pytest.approx(3 * unit)
    assert hausdorff(b, a, spacing).item() == pytest.approx(3 * unit)
    assert surface_dice(a, b, 3 * unit + 1e-9, spacing).item() == 1


def test_two_points_by_hand():
    a, b = box((10, 10), (2, 3), (2, 3)), box((10, 10), (5, 6), (6, 7))
    assert hausdorff(a, b).item() == 5
    assert average_symmetric_surface_distance(a, b).item() == 5
    assert hausdorff(a, b, (2.0, 0.5)).item() == pytest.approx(math.hypot(6, 2))
    assert surface_dice(a, b, 4.9).item() == 0
    assert surface_dice(a, b, 5.0).item() == 1
    deep = box((4, 10, 10), (0, 1), (2, 3), (2, 3)), box((4, 10, 10), (3, 4), (2, 3), (6, 7))
    assert hausdorff(*deep, (4.0, 1.0, 1.0)).item() == pytest.approx(math.hypot(12, 4))


def test_percentile_and_mean_by_hand():
    # a line of 10 pixels against its first pixel: distances 0 to 9 one way, 0 the other
    a, b = box((3, 12), (1, 2), (1, 11)), box((3, 12), (1, 2), (1, 2))
    assert hausdorff(a, b).item() == 9
    assert hausdorff_percentile(a, b).item() == pytest.approx(0.95 * 9)
    assert hausdorff_percentile(a, b, percentile=50).item() == pytest.approx(4.5)
    assert average_symmetric_surface_distance(a, b).item() == pytest.approx(45 / 11)
    assert surface_dice(a, b, 2.0).item() == pytest.approx((3 + 1) / 11)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    shape=st.sampled_from([(7, 9), (4, 5, 6)]),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1.0, 0.7]),
    tolerance=st.floats(0, 3),
)
def test_equals_brute_force(shape, seed, scale, tolerance):
    a, b = blobs(seed, shape)
    spacing = (1.0, *[scale] * (len(shape) - 1))
    there, back = brute_force(a[0].numpy(), b[0].numpy(), spacing)
    together = np.concatenate([there, back])
    assert hausdorff(a, b, spacing).item() == pytest.approx(together.max(), abs=1e-12)
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    assert hausdorff_percentile(a, b, spacing).item() == pytest.approx(expected, abs=1e-12)
    assert average_symmetric_surface_distance(a, b, spacing).item() == pytest.approx(together.mean(), abs=1e-12)
    if np.abs(together - tolerance).min() > 1e-9:  # elsewhere rounding decides
        assert surface_dice(a, b, tolerance, spacing).item() == (together <= tolerance).mean()
    for metric in (hausdorff, hausdorff_percentile, average_symmetric_surface_distance):
        assert metric(a, b, spacing).item() == pytest.approx(metric(b, a, spacing).item(), abs=1e-12)
        assert metric(a, a, spacing).item() == 0


@pytest.mark.slow  # importing MONAI takes seconds
@pytest.mark.parametrize(("shape", "spacing"), [((24, 31), (1.0, 1.0)), ((9, 12, 10), (2.0, 0.8, 1.3))])
def test_equals_monai(shape, spacing):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI's imports use names that its dependencies deprecate
        from monai import metrics as monai

        for seed in range(3):
            a, b = blobs(seed, shape)
            pair = a[None].double(), b[None].double()
            peers = {
                hausdorff: monai.compute_hausdorff_distance(*pair, include_background=True, spacing=spacing),
                hausdorff_percentile: monai.compute_hausdorff_distance(
                    *pair, include_background=True, percentile=95, spacing=spacing
                ),
                average_symmetric_surface_distance: monai.compute_average_surface_distance(
                    *pair, include_background=True, symmetric=True, spacing=spacing
                ),
            }
            for metric, expected in peers.items():
                assert metric(a, b, spacing).item() == pytest.approx(expected.item(), rel=1e-5)
            nsd = monai.compute_surface_dice(
                *pair, class_thresholds=[1.5], include_background=True, spacing=spacing, use_subvoxels=False
            )
            assert surface_dice(a, b, 1.5, spacing).item() == pytest.approx(nsd.item(), rel=1e-5)


def test_empty_masks():
    full, empty = torch.ones(1, 4, 4, dtype=torch.bool), torch.zeros(1, 4, 4, dtype=torch.bool)
    for metric in (hausdorff, hausdorff_percentile, average_symmetric_surface_distance):
        assert metric(empty, empty).item() == 0
        assert metric(full, empty).isnan().all()
        assert metric(empty, full).isnan().all()
    assert surface_dice(empty, empty, 1.0).item() == 1
    assert surface_dice(full, empty, 1.0).item() == surface_dice(empty, full, 1.0).item() == 0


def test_cases_are_independent_and_may_differ_in_spacing():
    a = torch.cat([box((8, 8), (1, 2), (1, 2))] * 2)
    b = torch.cat([box((8, 8), (1, 2), (4, 5)), box((8, 8), (5, 6), (1, 2))])
    spacing = torch.tensor([[1.0, 2.0], [0.5, 1.0]])
    found = hausdorff(a, b, spacing)
    assert found.tolist() == [6, 2]
    assert found.dtype == torch.float64


OK = torch.ones(2, 4, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("a", "b", "spacing", "says"),
    [
        (OK, OK[:1], (1, 1), "must be equal"),
        (OK.float(), OK.float(), (1, 1), "torch.bool"),
        (OK[0], OK[0], (1, 1), "axes"),
        (OK[..., :0], OK[..., :0], (1, 1), "pixels"),
        (OK, OK, (1, 1, 1), "spacing_mm has shape"),
        (OK, OK, (1, 0), "positive"),
        (OK, OK, (1, math.nan), "positive"),
    ],
)
def test_refusals(a, b, spacing, says):
    for metric in (hausdorff, hausdorff_percentile, average_symmetric_surface_distance):
        with pytest.raises(InputError, match=says):
            metric(a, b, spacing)
    with pytest.raises(InputError, match=says):
        surface_dice(a, b, 1.0, spacing)


def test_refusals_of_settings():
    with pytest.raises(InputError, match="percentile"):
        hausdorff_percentile(OK, OK, percentile=101)
    with pytest.raises(InputError, match="tolerance_mm"):
        surface_dice(OK, OK, -1.0)
    with pytest.raises(InputError, match="tolerance_mm"):
        surface_dice(OK, OK, math.nan)
