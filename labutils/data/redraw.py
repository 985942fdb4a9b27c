"""One object drawn again and again: procedural raters who differ along its edge, in two or three dimensions.

A drawing is the object with its edge moved: by a shift, which makes it smaller or larger as a whole, and by smooth
noise, which takes it in here and out there. Both are measured in the object's own depth, its size over its edge, so
one setting gives about the same overlap of drawings for thin and for thick objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from labutils.core.checks import require


class Outline(NamedTuple):
    """An object as the distance from its edge; ``distance > 0`` is the object."""

    distance: np.ndarray  # float32 ([D,] H, W) in pixels, positive inside
    depth_px: float  # pixels of the object for each pixel of its edge; half the radius of a disc


def outline_of(mask: np.ndarray) -> Outline:
    """The outline of a mask, bool ([D,] H, W).

    Raises:
        InputError: the mask is empty or full, so it has no edge.
    """
    require(mask.any() and not mask.all(), "the mask is empty or full; wanted an object with an edge")
    inside, outside = _depths(mask), _depths(~mask)
    edge = int(((inside > 0) & (inside <= 1)).sum())
    distance = np.where(mask, inside - 0.5, 0.5 - outside)  # the edge runs between two pixels
    return Outline(distance.astype(np.float32), int(mask.sum()) / edge)


def _depths(mask: np.ndarray) -> np.ndarray:
    """The distance of each pixel of the mask from the nearest pixel beside it; 0 there."""
    if mask.ndim == 2:  # the same numbers, ten times as fast
        return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return ndimage.distance_transform_edt(mask)


def redrawn(
    outline: Outline, rng: np.random.Generator, *, wobble: float, shift: float = 0.0, detail: float = 2.0
) -> np.ndarray:
    """A drawing of the object, bool ([D,] H, W); never empty, as the deepest pixel is always drawn.

    Args:
        outline: of the object.
        rng: of the noise.
        wobble: standard deviation of the edge's place, in depths.
        shift: how far the edge lies outward on average, in depths; negative draws a smaller object.
        detail: length along the edge of what is taken in or out, in depths.
    """
    distance, depth_px = outline
    noise = smooth_noise(distance.shape, detail * depth_px, rng)
    moved = distance + np.float32(depth_px) * (np.float32(shift) + np.float32(wobble) * noise)
    return (moved > 0) | (distance == distance.max())


def smooth_noise(shape: Sequence[int], scale_px: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of mean 0 and standard deviation of about 1, float32 of `shape`, with details of about `scale_px`.

    Large details are drawn on a coarse grid and interpolated.
    """
    step = max(1.0, scale_px / 3)
    sigma = scale_px / step
    pad = math.ceil(3 * sigma)  # what is filtered at a border would vary otherwise
    noise = rng.standard_normal([math.ceil(n / step) + 1 + 2 * pad for n in shape], dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, sigma, truncate=3.0)[(slice(pad, -pad),) * len(shape)]
    noise *= np.float32((2 * math.sqrt(math.pi) * sigma) ** (len(shape) / 2))  # what the filter divided it by
    for axis, n in enumerate(shape):
        below, part = np.divmod(np.arange(n, dtype=np.float32) / np.float32(step), 1)
        part = part.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        first, second = (noise.take(below.astype(int) + one, axis) for one in (0, 1))
        noise = first + part * (second - first)
    return noise
