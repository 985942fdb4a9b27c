"""Windows of images: one at a random place of each case to learn from, drawn apart from cut; the middle to score.

Published LIDC crops are larger than what a network sees: 180 pixels, of which training takes 128 at random and scoring
those in the middle. Every network then meets a lesion at any place, and nothing beyond the rim has to be made up.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from labutils.core.checks import require, require_shape
from labutils.core.types import Batch
from labutils.data.store import Store


def draw_corners(n: int, size: tuple[int, int], side: int, rng: torch.Generator) -> Tensor:
    """Draw where `n` windows begin, each place in the image equally likely.

    Args:
        n: how many.
        size: H and W of the images, in pixels.
        side: of a window, in pixels.
        rng: a CPU generator.
    Returns:
        int64 (n, 2) on the CPU, row and column of the upper left pixel.
    Raises:
        InputError: a window does not fit.
    """
    _require_fits(size, side)
    return torch.stack([torch.randint(length - side + 1, (n,), generator=rng) for length in size], dim=1)


def cut(batch: Batch, corners: Tensor, side: int) -> Batch:
    """One window of each case: of its image, every rater's mask and its truth alike.

    Args:
        batch: the cases, on any device; not changed.
        corners: int64 (B, 2), as `draw_corners` gives them.
        side: of a window, in pixels.
    Returns:
        A batch of maps of `side` by `side` pixels, on the batch's device.
    Raises:
        InputError: there is another number of windows than cases, or one does not lie in the image.
    """
    height, width = batch.image.shape[-2:]
    require_shape("corners", corners, "BA", B=len(batch.image), A=2)
    _require_fits((height, width), side)
    inside = bool(((corners >= 0) & (corners <= torch.tensor([height - side, width - side]))).all())
    require(inside, f"a window of {side} pixels begins outside an image of {height} x {width}")
    places = corners.to(batch.image.device)[:, :, None] + torch.arange(side, device=batch.image.device)  # (B, 2, side)
    rows, columns = places[:, 0, :, None], places[:, 1, None, :]
    cases = torch.arange(len(corners), device=batch.image.device)[:, None, None]

    def window(maps: Tensor) -> Tensor:
        """(B, N, H, W) to (B, N, side, side)."""
        return maps[cases, :, rows, columns].movedim(-1, 1).contiguous()

    truth = None if batch.truth is None else window(batch.truth[:, None])[:, 0]
    return Batch(window(batch.image), window(batch.masks), batch.present, truth)


def middle(store: Store, side: int) -> Store:
    """The middle of every case, as a view: what networks that learned from windows of this side are scored on.

    Args:
        store: the cases.
        side: of the middle, in pixels; 0: the whole images.
    Raises:
        InputError: it does not fit.
    """
    size = store.image.shape[-2:]
    if side == 0 or size == (side, side):
        return store
    _require_fits(size, side)
    top, left = ((length - side) // 2 for length in size)
    here = (..., slice(top, top + side), slice(left, left + side))
    truth = None if store.truth is None else store.truth[here]
    return replace(store, image=store.image[here], masks=store.masks[here], truth=truth)


def _require_fits(size: tuple[int, int], side: int) -> None:
    fits = 1 <= side <= min(size)
    require(
        fits, f"a window of {side} x {side} pixels was asked for of images of {size[0]} x {size[1]}; wanted it to fit"
    )
