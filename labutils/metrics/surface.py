"""Distances between the surfaces of two masks, in mm, in 2D and 3D.

The surface of a mask is its pixels with at least one face neighbor (4 in 2D, 6 in 3D) outside the mask; outside the
image counts as outside the mask, so a mask that touches the border has surface there. Distances run between centers
of surface pixels, from each surface pixel of one mask to the nearest of the other, exactly.

Empty masks: both empty is perfect agreement (distance 0, surface Dice 1). With exactly one empty no distance exists and
every distance is NaN: leave such cases out of a mean only with their number beside it. Surface Dice is 0 there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from labutils.core.checks import InputError, require, require_same_shape
from labutils.metrics.inputs import voxel_sizes

Distances = tuple[np.ndarray, np.ndarray]  # mm, float64: of each surface pixel of a to b, and of b to a


def hausdorff(a: Tensor, b: Tensor, spacing_mm: Sequence[float] | Tensor = (1.0, 1.0)) -> Tensor:
    """Hausdorff distance: the largest distance of a surface pixel of either mask to the other's surface.

    Args:
        a, b: bool (B, [D,] H, W).
        spacing_mm: ([D,] H, W) spacings for all cases, or (B, axes), in mm.
    Returns:
        float64 (B,) in mm, 0 or more; lower is better. Both empty: 0; one empty: NaN.
    Raises:
        InputError: shapes differ, not torch.bool, no pixel, or a bad spacing.
    """
    return hausdorff_percentile(a, b, spacing_mm, percentile=100.0)


def hausdorff_percentile(
    a: Tensor, b: Tensor, spacing_mm: Sequence[float] | Tensor = (1.0, 1.0), percentile: float = 95.0
) -> Tensor:
    """Percentile Hausdorff distance (HD95): the larger of the two directed percentiles of surface distance.

    Args:
        a, b: bool (B, [D,] H, W).
        spacing_mm: ([D,] H, W) spacings for all cases, or (B, axes), in mm.
        percentile: 0 to 100; 100 is the Hausdorff distance.
    Returns:
        float64 (B,) in mm, 0 or more; lower is better. Both empty: 0; one empty: NaN.
    Raises:
        InputError: shapes differ, not torch.bool, no pixel, a bad spacing or percentile.
    Notes:
        The percentile is taken in each direction over surface pixels, with linear interpolation, then the larger of
        both, as in MONAI. Pooling both directions first gives another number.
    """
    require(0 <= percentile <= 100, f"percentile is {percentile}; wanted 0 to 100")
    return _per_case(a, b, spacing_mm, lambda there, back: max(np.percentile(d, percentile) for d in (there, back)))


def average_symmetric_surface_distance(
    a: Tensor, b: Tensor, spacing_mm: Sequence[float] | Tensor = (1.0, 1.0)
) -> Tensor:
    """Mean distance to the other surface over the surface pixels of both masks together (ASSD).

    Args:
        a, b: bool (B, [D,] H, W).
        spacing_mm: ([D,] H, W) spacings for all cases, or (B, axes), in mm.
    Returns:
        float64 (B,) in mm, 0 or more; lower is better. Both empty: 0; one empty: NaN.
    Raises:
        InputError: shapes differ, not torch.bool, no pixel, or a bad spacing.
    """
    return _per_case(a, b, spacing_mm, lambda there, back: np.concatenate([there, back]).mean())


def surface_dice(
    a: Tensor, b: Tensor, tolerance_mm: float, spacing_mm: Sequence[float] | Tensor = (1.0, 1.0)
) -> Tensor:
    """Share of both surfaces that lies within a tolerance of the other (normalized surface distance, NSD).

    Args:
        a, b: bool (B, [D,] H, W).
        tolerance_mm: largest distance that still counts as agreement, 0 or more.
        spacing_mm: ([D,] H, W) spacings for all cases, or (B, axes), in mm.
    Returns:
        float64 (B,) in [0, 1]; higher is better. Both empty: 1; one empty: 0.
    Raises:
        InputError: shapes differ, not torch.bool, no pixel, a bad spacing or tolerance.
    Notes:
        Counts surface pixels, not surface area. Source: Nikolov et al. 2018 (arXiv 1809.04430).
    """
    require(tolerance_mm >= 0, f"tolerance_mm is {tolerance_mm}; wanted 0 or more")

    def share(there: np.ndarray, back: np.ndarray) -> float:
        return float((np.concatenate([there, back]) <= tolerance_mm).mean())

    return _per_case(a, b, spacing_mm, share, both_empty=1.0, one_empty=0.0)


def surface_pixels(mask: np.ndarray) -> np.ndarray:
    """Pixels of a bool mask ([D,] H, W) that have a face neighbor outside it; bool of the same shape."""
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask)


def surface_distances(a: np.ndarray, b: np.ndarray, spacing_mm: Sequence[float] | np.ndarray) -> Distances:
    """Distance in mm of each surface pixel of one mask to the other's surface, both ways; both must be non-empty."""
    from scipy.spatial import cKDTree

    points_a, points_b = (np.argwhere(surface_pixels(mask)) * np.asarray(spacing_mm) for mask in (a, b))
    return cKDTree(points_b).query(points_a)[0], cKDTree(points_a).query(points_b)[0]


def _per_case(
    a: Tensor,
    b: Tensor,
    spacing_mm: Sequence[float] | Tensor,
    reduce: Callable[[np.ndarray, np.ndarray], float],
    *,
    both_empty: float = 0.0,
    one_empty: float = np.nan,
) -> Tensor:
    require_same_shape("a", a, "b", b)
    if a.ndim not in (3, 4) or a.numel() == 0:
        raise InputError(f"a has shape {tuple(a.shape)}; wanted axes (B[D]HW) with pixels")
    require(a.dtype == b.dtype == torch.bool, f"a is {a.dtype} and b {b.dtype}; wanted masks of torch.bool")
    spacings = voxel_sizes(spacing_mm, len(a), a.ndim - 1).numpy()
    scores = []
    for first, second, spacing in zip(a.cpu().numpy(), b.cpu().numpy(), spacings, strict=True):
        empty = int(not first.any()) + int(not second.any())
        if empty:
            scores.append(both_empty if empty == 2 else one_empty)
        else:
            scores.append(float(reduce(*surface_distances(first, second, spacing))))
    return torch.tensor(scores, dtype=torch.float64, device=a.device)
