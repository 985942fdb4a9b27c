"""Guards shared by the metrics: stacks of masks, label maps, probability maps and voxel sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from labutils.core.checks import InputError, require
from labutils.core.types import as_present


def check_stack(name: str, masks: Tensor) -> None:
    """Refuse what is not bool (B, M, [D,] H, W) with at least one mask and one pixel a case."""
    if masks.ndim not in (4, 5):
        raise InputError(f"{name} has shape {tuple(masks.shape)}; wanted axes (B, masks, [D,] H, W)")
    require(masks.dtype == torch.bool, f"{name} is {masks.dtype}; wanted masks of torch.bool")
    require(masks.shape[1] > 0, f"{name} of shape {tuple(masks.shape)} holds no mask; wanted at least one")
    require(masks.numel() > 0, f"{name} of shape {tuple(masks.shape)} holds no case or no pixel")


def check_pair(first: str, a: Tensor, second: str, b: Tensor) -> None:
    """Refuse two stacks whose cases or pixels differ in number."""
    if a.shape[0] != b.shape[0] or a.shape[2:] != b.shape[2:]:
        raise InputError(f"{first} {tuple(a.shape)} and {second} {tuple(b.shape)} differ beyond the second axis")


def check_against_raters(samples: Tensor, raters: Tensor, present: Tensor | None) -> Tensor:
    """Check two stacks of masks against each other; give who is present, bool (B, R)."""
    check_stack("samples", samples)
    check_stack("raters", raters)
    check_pair("samples", samples, "raters", raters)
    return as_present(raters, present)


def check_map(name: str, map_: Tensor, raters: Tensor) -> None:
    """Refuse what is not a float map (B, [D,] H, W) in [0, 1] over the pixels of `raters` (B, R, [D,] H, W)."""
    wanted = (raters.shape[0], *raters.shape[2:])
    require(tuple(map_.shape) == wanted, f"{name} has shape {tuple(map_.shape)}; wanted {wanted}, as the raters")
    require(map_.is_floating_point(), f"{name} is {map_.dtype}; wanted floating point")
    low, high = (float(bound) for bound in map_.aminmax())  # NaN when any value is
    require(low >= 0 and high <= 1 + 1e-6, f"{name} runs from {low:.4g} to {high:.4g}; wanted values in [0, 1]")


def check_label_masks(masks: Tensor, present: Tensor | None, classes: int) -> Tensor:
    """Refuse what is not uint8 (B, R, [D,] H, W) with labels below `classes`; give who is present, bool (B, R)."""
    if masks.ndim not in (4, 5):
        raise InputError(f"masks have shape {tuple(masks.shape)}; wanted axes (BR[D]HW)")
    require(masks.dtype == torch.uint8, f"masks are {masks.dtype}; wanted label maps of torch.uint8")
    require(classes >= 2, f"classes is {classes}; wanted at least 2, the background among them")
    who = as_present(masks, present)
    require(masks.numel() > 0, f"masks of shape {tuple(masks.shape)} hold no pixel")
    highest = int(masks.flatten(2).amax(dim=2).masked_fill(~who, 0).max())
    require(highest < classes, f"masks hold the label {highest}; wanted labels below classes = {classes}")
    return who


def voxel_sizes(spacing_mm: Sequence[float] | Tensor, cases: int, axes: int) -> Tensor:
    """Spacing of each case, float64 (B, axes) in mm, from one spacing for all cases or one row a case.

    Raises:
        InputError: another number of axes or cases, or a spacing that is not positive and finite.
    """
    given = torch.as_tensor(spacing_mm, dtype=torch.float64).cpu()
    if given.shape not in ((axes,), (cases, axes)):
        raise InputError(f"spacing_mm has shape {tuple(given.shape)}; wanted ({axes},) or ({cases}, {axes})")
    good = torch.isfinite(given) & (given > 0)
    require(bool(good.all()), f"spacing_mm is {given.tolist()}; wanted positive finite numbers of mm")
    return given.expand(cases, axes)
