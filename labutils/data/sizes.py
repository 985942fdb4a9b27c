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
    rows, columns = _rows_columns(sizes)
    return max(rows), max(columns)


def smallest_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The largest (H, W) that fits into every one of the sizes.

    Raises:
        InputError: there is no size.
    """
    rows, columns = _rows_columns(sizes)
    return min(rows), min(columns)


def _rows_columns(sizes: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    pairs = list(sizes)
    require(pairs, "no size was given; wanted at least one")
    rows, columns = zip(*pairs, strict=True)
    return rows, columns


def middle_window(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle H x W pixels of `array` (..., h, w), a view; where two are the middle, the upper and left one.

    Where the window lies depends on the sizes alone, so it tells nothing of what is in the picture.

    Raises:
        InputError: the array has fewer than two axes or is smaller than the window.
    """
    require(array.ndim >= 2, f"middle_window: the array has shape {array.shape}; wanted (..., h, w)")
    over, aside = array.shape[-2] - size[0], array.shape[-1] - size[1]
    require(over >= 0 and aside >= 0, f"middle_window: {array.shape[-2:]} pixels are fewer than {size}")
    top, left = over // 2, aside // 2
    return array[..., top : top + size[0], left : left + size[1]]


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
