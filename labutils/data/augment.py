"""Augmentation by the symmetries of the square: parameters are drawn apart from being applied.

A symmetry is a code of three bits, applied in this order: 4 swaps rows with columns, 1 reverses the rows, 2 reverses
the columns. The eight codes are all rotations by quarter turns and all reflections; nothing is interpolated, so masks
stay exact. On images that are not square only codes 0 to 3 keep the shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from labutils.core.checks import InputError, require_shape
from labutils.core.types import Batch

FLIP_ROWS, FLIP_COLUMNS, TRANSPOSE = 1, 2, 4


def draw_symmetries(n: int, rng: torch.Generator, *, square: bool = True) -> Tensor:
    """Draw `n` symmetries, each equally likely.

    Args:
        n: how many.
        rng: a CPU generator.
        square: False for images whose H and W differ, which allow flips only (codes 0 to 3).
    Returns:
        int64 (n,) on the CPU, codes 0 to 7.
    """
    return torch.randint(8 if square else 4, (n,), generator=rng)


def apply_symmetries(batch: Batch, drawn: Tensor) -> Batch:
    """Apply one symmetry to each case: its image, every rater's mask and its truth alike.

    Args:
        batch: the cases, on any device; not changed.
        drawn: int64 (B,), codes 0 to 7, as `draw_symmetries` gives them.
    Returns:
        A batch of the same shapes, on the batch's device.
    Raises:
        InputError: `drawn` has another length or other codes, or swaps the axes of an image that is not square.
    """
    height, width = batch.image.shape[-2:]
    require_shape("drawn", drawn, "B", B=batch.image.shape[0])
    codes = drawn.tolist()
    low, high = min(codes, default=0), max(codes, default=0)
    if low < 0 or high > 7:
        raise InputError(f"drawn symmetries run from {low} to {high}; wanted codes 0 to 7")
    if height != width and high >= TRANSPOSE:
        raise InputError(
            f"images of {height} x {width} pixels are not square and allow flips only; wanted codes 0 to 3"
        )
    return Batch(
        _transformed(batch.image, codes),
        _transformed(batch.masks, codes),
        batch.present,
        None if batch.truth is None else _transformed(batch.truth, codes),
    )


def inverse_symmetries(drawn: Tensor) -> Tensor:
    """The symmetries that undo `drawn`: int64 (B,) to int64 (B,), codes 0 to 7.

    A flip undoes itself; after a swap of the axes, what reversed the rows has to reverse the columns.
    """
    swapped = TRANSPOSE + (drawn & FLIP_ROWS) * 2 + (drawn & FLIP_COLUMNS) // 2
    return torch.where(drawn >= TRANSPOSE, swapped, drawn)


def _transformed(maps: Tensor, codes: list[int]) -> Tensor:
    """`maps` (B, ..., H, W) with code i applied to entry i."""
    return _copied(maps, codes) if maps.device.type == "cpu" else _gathered(maps, codes)


def _copied(maps: Tensor, codes: list[int]) -> Tensor:
    """On the CPU: one copy per case through NumPy's reversed views, which torch lacks and which beat its flips."""
    source, out = maps.numpy(), torch.empty_like(maps, memory_format=torch.contiguous_format)
    for one, code, target in zip(source, codes, out.numpy(), strict=True):
        view = one.swapaxes(-1, -2) if code & TRANSPOSE else one
        rows, columns = (slice(None, None, -1 if code & bit else 1) for bit in (FLIP_ROWS, FLIP_COLUMNS))
        target[...] = view[..., rows, columns]
    return out


def _gathered(maps: Tensor, codes: list[int]) -> Tensor:
    """On other devices: one gather for the whole batch, whatever the codes."""
    pixels = torch.arange(maps.shape[-2] * maps.shape[-1]).view(1, *maps.shape[-2:])
    table = _copied(pixels.expand(len(codes), -1, -1), codes).flatten(-2).to(maps.device)  # (B, H W)
    flat = maps.flatten(-2)
    index = table.view(len(codes), *[1] * (flat.ndim - 2), -1).expand(flat.shape)
    return flat.gather(-1, index).view(maps.shape)
