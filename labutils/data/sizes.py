"""Bringing pictures of different sizes to one size, as a store needs it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from labutils.core.checks import require


def largest_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The smallest (H, W) that every one of the sizes fits into.

    Raises:
        InputError: there is no size.
    """
    rows_columns = list(sizes)
    require(rows_columns, "largest_size: no size was given; wanted at least one")
    rows, columns = zip(*rows_columns, strict=True)
    return max(rows), max(columns)


def pad_to_size(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A copy of `array` (..., h, w) with zeros below and to the right, so that it is (..., H, W).

    Pixel (0, 0) stays where it is, so coordinates and outlines keep their meaning. Zero is the background of a mask;
    in an image it is black. Metrics of the foreground do not change; those that count background pixels, such as a
    calibration error, do.

    Args:
        array: any dtype, two axes or more.
        size: (H, W), neither smaller than the array's own.
    Raises:
        InputError: the array has fewer than two axes or does not fit.
    """
    require(array.ndim >= 2, f"pad_to_size: the array has shape {array.shape}; wanted (..., h, w)")
    below, right = size[0] - array.shape[-2], size[1] - array.shape[-1]
    require(below >= 0 and right >= 0, f"pad_to_size: {array.shape[-2:]} pixels do not fit into {size}")
    return np.pad(array, [*[(0, 0)] * (array.ndim - 2), (0, below), (0, right)])
