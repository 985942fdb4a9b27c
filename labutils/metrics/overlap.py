"""Dice and intersection over union (IoU) of binary masks, from exact integer counts.

The rule for empty masks, everywhere in this room: both empty is full overlap (1, distance 0), exactly one empty is
none (0, distance 1). Public code differs here, and a case where nobody sees anything then moves a mean by 1, so
report how many there were (`both_empty`). Only the foreground counts; background overlap is never averaged in.

Intersections of many masks are matrix products of zeros and ones. A float32 sum of ones is exact below 2^24, so
pixels go through in chunks far smaller than that, and the chunks are added as int64.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from labutils.core.checks import InputError, require, require_same_shape
from labutils.metrics.inputs import check_pair, check_stack

_CHUNK_PX = 2**16  # pixels per product: exact up to 2^24, and 100 masks of a chunk are 26 MB as float32


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of two masks per case.

    Args:
        a, b: bool (B, [D,] H, W), or any axes after B.
    Returns:
        float64 (B,) in [0, 1]; higher is better. Both empty: 1; one empty: 0.
    Raises:
        InputError: shapes differ, no pixel, or not torch.bool.
    """
    both, size_a, size_b = _pair_counts(a, b)
    return _iou_of_counts(both, size_a, size_b)


def dice(a: Tensor, b: Tensor) -> Tensor:
    """Dice coefficient, twice the intersection over the sum of sizes, of two masks per case.

    Args:
        a, b: bool (B, [D,] H, W), or any axes after B.
    Returns:
        float64 (B,) in [0, 1]; higher is better. Both empty: 1; one empty: 0.
    Raises:
        InputError: shapes differ, no pixel, or not torch.bool.
    """
    both, size_a, size_b = _pair_counts(a, b)
    return _dice_of_counts(both, size_a, size_b)


def jaccard_distance(a: Tensor, b: Tensor) -> Tensor:
    """One minus IoU of two masks per case: float64 (B,) in [0, 1], lower is better; both empty: 0. See `iou`."""
    return 1 - iou(a, b)


def both_empty(a: Tensor, b: Tensor) -> Tensor:
    """Whether both masks of a case are empty, bool (B,): the cases whose overlap is 1 by rule, to be counted."""
    _, size_a, size_b = _pair_counts(a, b)
    return (size_a == 0) & (size_b == 0)


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of every mask of one stack with every mask of another, per case.

    Args:
        a: bool (B, M, [D,] H, W).
        b: bool (B, N, [D,] H, W).
    Returns:
        float64 (B, M, N) in [0, 1]; higher is better. Both empty: 1; one empty: 0.
    Raises:
        InputError: other axes, type or sizes, or a stack without masks or pixels.
    """
    counts, size_a, size_b = intersections(a, b)
    return _iou_of_counts(counts, size_a[:, :, None], size_b[:, None, :])


def pairwise_dice(a: Tensor, b: Tensor) -> Tensor:
    """Dice of every mask of one stack with every mask of another: float64 (B, M, N); the rest as `pairwise_iou`."""
    counts, size_a, size_b = intersections(a, b)
    return _dice_of_counts(counts, size_a[:, :, None], size_b[:, None, :])


def self_iou(masks: Tensor) -> Tensor:
    """IoU of every mask of a stack with every other and itself: float64 (B, M, M); the rest as `pairwise_iou`."""
    check_stack("masks", masks)
    counts = torch.stack([_gram(stack) for stack in masks])
    sizes = counts.diagonal(dim1=1, dim2=2)
    return _iou_of_counts(counts, sizes[:, :, None], sizes[:, None, :])


def intersections(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels that each mask of one stack shares with each of another, and the sizes of the masks, all exact.

    Args:
        a: bool (B, M, [D,] H, W).
        b: bool (B, N, [D,] H, W).
    Returns:
        int64 (B, M, N), and the sizes int64 (B, M) and (B, N).
    Raises:
        InputError: as `pairwise_iou`.
    """
    check_stack("a", a)
    check_stack("b", b)
    check_pair("a", a, "b", b)
    cases, rows, columns = len(a), a.shape[1], b.shape[1]
    counts = torch.zeros(cases, rows, columns, dtype=torch.int64, device=a.device)
    size_a, size_b = counts.new_zeros(cases, rows), counts.new_zeros(cases, columns)
    for case in range(cases):
        for chunk_a, chunk_b in zip(_chunks(a[case]), _chunks(b[case]), strict=True):
            counts[case] += _product(chunk_a, chunk_b)
            size_a[case] += chunk_a.sum(dim=1).long()
            size_b[case] += chunk_b.sum(dim=1).long()
    return counts, size_a, size_b


def _gram(masks: Tensor) -> Tensor:
    """Shared pixels of every pair of masks (M, [D,] H, W): int64 (M, M), sizes on the diagonal."""
    counts = torch.zeros(len(masks), len(masks), dtype=torch.int64, device=masks.device)
    for chunk in _chunks(masks):
        counts += _product(chunk, chunk)
    return counts


def _chunks(masks: Tensor) -> Iterator[Tensor]:
    """The pixels of masks (M, [D,] H, W) as float32 (M, at most `_CHUNK_PX`)."""
    flat = masks.flatten(1).view(torch.uint8)  # the same bytes; uint8 becomes float five times faster than bool
    for chunk in flat.split(_CHUNK_PX, dim=1):
        yield chunk.float()


def _product(a: Tensor, b: Tensor) -> Tensor:
    if a.device.type == "cpu":  # NumPy halves the work when both are the same array, and knows no autocast
        return torch.from_numpy(a.numpy() @ b.numpy().T).long()
    with torch.autocast(a.device.type, enabled=False):  # half-precision sums would not be exact
        return (a @ b.T).long()


def _pair_counts(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    require_same_shape("a", a, "b", b)
    if a.dtype != torch.bool or b.dtype != torch.bool:
        raise InputError(f"a is {a.dtype} and b {b.dtype}; wanted masks of torch.bool")
    require(a.ndim > 1 and a.numel() > 0, f"a has shape {tuple(a.shape)}; wanted axes (B, [D,] H, W) with pixels")
    a, b = a.flatten(1), b.flatten(1)
    return (a & b).count_nonzero(dim=1), a.count_nonzero(dim=1), b.count_nonzero(dim=1)


def _iou_of_counts(both: Tensor, size_a: Tensor, size_b: Tensor) -> Tensor:
    union = size_a + size_b - both
    return torch.where(union > 0, both.double() / union.clamp(min=1), 1.0)


def _dice_of_counts(both: Tensor, size_a: Tensor, size_b: Tensor) -> Tensor:
    total = size_a + size_b
    return torch.where(total > 0, 2 * both.double() / total.clamp(min=1), 1.0)
