"""Augmentation by moving pixels: rotation, scale, shear, shift and a smooth elastic field, drawn apart from applied.

One field of displacements serves a case's image, all its raters' masks and its truth. Images are interpolated between
pixels and continue at the rim with its values; labels are those of the nearest pixel, and background beyond the rim.
Everything is computed in batches, on the device where the batch lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from labutils.core.checks import ConfigError, require
from labutils.core.types import Batch


@dataclass(frozen=True, kw_only=True)
class WarpConfig:
    """How far pixels move; all 0, as by default, is nowhere."""

    rotation_deg: float = 0.0  # turned by an angle between minus and plus this
    scale: float = 0.0  # grown or shrunk by a factor between 1 / (1 + scale) and 1 + scale
    shear: float = 0.0  # sheared by a slope between minus and plus this
    shift: float = 0.0  # moved by at most this share of the sides
    elastic_px: float = 0.0  # standard deviation of the elastic displacement, along each axis
    elastic_knots: int = 4  # knots of the elastic field along each side

    def __post_init__(self) -> None:
        for name in ("rotation_deg", "scale", "shear", "shift", "elastic_px"):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"warp.{name} is {value}; wanted 0 or more", ConfigError)
        knots = self.elastic_knots
        require(knots >= 2, f"warp.elastic_knots is {knots}; wanted 2 or more", ConfigError)

    @property
    def moves(self) -> bool:
        """Whether any pixel moves."""
        return any((self.rotation_deg, self.scale, self.shear, self.shift, self.elastic_px))


class Warps(NamedTuple):
    """Where each case's pixels come from."""

    matrix: Tensor  # float32 (B, 2, 2), from place in the result to place in the source, (column, row) from the middle
    shift: Tensor  # float32 (B, 2), (column, row) in shares of the sides
    elastic_px: Tensor  # float32 (B, 2, knots, knots), (column, row) displacement at the knots


def draw_warps(n: int, config: WarpConfig, rng: torch.Generator) -> Warps:
    """Draw `n` warps.

    Args:
        n: how many.
        config: how far; each number is uniform between its bounds, the logarithm of the scale too, the elastic field
            normal.
        rng: a CPU generator; the same numbers are drawn whatever is switched off.
    """
    angle, scale, shear = (2 * torch.rand(3, n, generator=rng) - 1).unbind()
    angle = angle * math.radians(config.rotation_deg)
    scale = torch.exp(scale * math.log1p(config.scale))
    shear = shear * config.shear
    cos, sin, one, zero = angle.cos(), angle.sin(), torch.ones(n), torch.zeros(n)
    turn = torch.stack([cos, -sin, sin, cos], dim=1).view(n, 2, 2)
    slant = torch.stack([one, shear, zero, one], dim=1).view(n, 2, 2)
    shift = config.shift * (2 * torch.rand(n, 2, generator=rng) - 1)
    field = config.elastic_px * torch.randn(n, 2, config.elastic_knots, config.elastic_knots, generator=rng)
    return Warps(turn @ slant / scale[:, None, None], shift, field)


def apply_warps(batch: Batch, warps: Warps) -> Batch:
    """Move the pixels of every case: its image, its raters' masks and its truth alike.

    Args:
        batch: the cases, on any device; not changed.
        warps: one for each case.
    Returns:
        A batch of the same shapes, on the batch's device.
    Raises:
        InputError: there is another number of warps than cases.
    """
    cases, _, height, width = batch.image.shape
    require(len(warps.matrix) == cases, f"there are {len(warps.matrix)} warps for {cases} cases; wanted one each")
    grid = _grid(warps, height, width, batch.image.device)
    image = functional.grid_sample(batch.image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    truth = None if batch.truth is None else _labels(batch.truth[:, None], grid)[:, 0]
    return Batch(image, _labels(batch.masks, grid), batch.present, truth)


def _labels(masks: Tensor, grid: Tensor) -> Tensor:
    """Labels (B, R, H, W) of the nearest pixels; float32 holds all 256 of them exactly."""
    moved = functional.grid_sample(masks.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved.to(masks.dtype)


def _grid(warps: Warps, height: int, width: int, device: torch.device) -> Tensor:
    """Where in the source each pixel of the result lies, (B, H, W, 2), as `grid_sample` reads it: -1 to 1."""
    rows = torch.arange(height, device=device) - (height - 1) / 2
    columns = torch.arange(width, device=device) - (width - 1) / 2
    here = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)  # (H, W, 2), in pixels from the middle
    matrix, shift, knots = (part.to(device) for part in warps)
    sides = torch.tensor([width, height], device=device, dtype=torch.float32)
    there = torch.einsum("bij,hwj->bhwi", matrix, here) + (shift * sides)[:, None, None]
    field = functional.interpolate(knots, size=(height, width), mode="bicubic", align_corners=True)
    return (there + field.movedim(1, -1)) * 2 / sides
