"""Raters whose mask lies elsewhere than everybody else's: a look at the geometry before fusing.

Fusing assumes that all masks are of one grid. A file that was flipped, transposed or shifted on its way breaks that and
no fusion notices: the rater looks like a bad one. The rule here is blunt on purpose. Among the raters who drew
something, rater r is **odd** where

    mean Dice of r with each other < `FRACTION` x mean Dice of the others among themselves.

It takes three raters who drew: of two that differ, neither is the odd one. An empty mask says "nothing here", which is
a judgment and no place, so it is neither odd nor counted among the others. Two raters odd in the same way hide each
other, and a drawing far smaller than the others' is odd as well, since Dice sees size as it sees place.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from labutils.core.checks import InputError, require
from labutils.core.types import as_present
from labutils.metrics.inputs import check_stack
from labutils.metrics.overlap import pairwise_dice

FRACTION = 0.2  # of the others' agreement; ordinary raters of one image stay above it
CASES = 50  # of a dataset, the first so many are looked at
MENDED = 0.5  # of the others' agreement: what a remedy must reach to be told


class OddRaterWarning(UserWarning):
    """A rater disagrees so grossly with the others that the geometry of the mask should be looked at."""


class Remedy(NamedTuple):
    """What would bring a mask to the others: `axes` first, then `flipped`, then `shift_px`. A hint and no proof."""

    axes: tuple[int, ...]  # the order of the mask's axes, as for np.transpose; ascending leaves them
    flipped: tuple[int, ...]  # axes to flip, as for np.flip
    shift_px: tuple[int, ...]  # whole pixels along each axis; what leaves the frame is lost
    dice: float  # mean Dice with the others then

    def __str__(self) -> str:
        """In words, such as "flipping axes 0 and 1 gives 0.742"."""
        steps = []
        if self.axes != tuple(sorted(self.axes)):
            steps.append(f"taking the axes in the order {self.axes}")
        if self.flipped:
            steps.append(
                f"flipping {'axis' if len(self.flipped) == 1 else 'axes'} {' and '.join(map(str, self.flipped))}"
            )
        if any(self.shift_px):
            steps.append(f"shifting by {self.shift_px} pixels")
        return f"{' and '.join(steps)} gives {self.dice:.3f}"


class OddRaters(NamedTuple):
    """How each rater of one case agrees with the others; NaN for raters who are absent or drew nothing."""

    to_others: Tensor  # float64 (R,) in [0, 1], mean Dice with each other; NaN with fewer than two who drew
    to_majority: Tensor  # float64 (R,) in [0, 1], Dice with the others' strict majority; NaN likewise
    among_others: Tensor  # float64 (R,) in [0, 1], mean Dice of the others with each other; NaN with fewer than three
    odd: Tensor  # bool (R,)
    remedies: Mapping[int, Remedy]  # by rater, for odd raters that a flip, a swap of axes or a shift would mend


def odd_raters(masks: Tensor, present: Tensor | None = None, *, fraction: float = FRACTION) -> OddRaters:
    """Who of one case disagrees with the others grossly more than they do among themselves, and what might mend it.

    Tried on each odd rater are all flips, alone and with all swaps of axes of one size, and the whole-pixel shift that
    puts the mask's center of mass on the others'.

    Args:
        masks: bool (R, [D,] H, W), one mask per rater.
        present: bool (R,), who judged the case; None for everybody.
        fraction: of the others' agreement, above 0 and at most 1; below it a rater is odd.
    Returns:
        `OddRaters`.
    Raises:
        InputError: wrong axes or type, no rater or pixel, nobody present, or a fraction out of its range.
    Notes:
        Costs one matrix of Dice, so R^2 pairs, and 47 look-ups of a mask's pixels at most for each odd rater.
    """
    if masks.ndim not in (3, 4):
        raise InputError(f"masks have shape {tuple(masks.shape)}; wanted axes (R[D]HW)")
    require(0 < fraction <= 1, f"fraction is {fraction}; wanted above 0, at most 1")
    check_stack("masks", masks[None])
    here = as_present(masks[None], None if present is None else present[None])[0]
    drew = (here & masks.flatten(1).any(dim=1)).nonzero()[:, 0]
    drawn = masks[drew]
    told = torch.full((3, len(masks)), torch.nan, dtype=torch.float64, device=masks.device)
    if len(drew) > 1:
        told[:, drew] = _agreement(drawn)
    odd = told[0] < fraction * told[2]  # False for NaN
    remedies = {}
    for rater in odd.nonzero()[:, 0].tolist():
        others = drawn[drew != rater].cpu().numpy()
        best = max(_remedies(masks[rater].cpu().numpy(), others), key=lambda one: one.dice)
        if best.dice >= MENDED * float(told[2, rater]):
            remedies[rater] = best
    return OddRaters(told[0], told[1], told[2], odd, remedies)


def warn_of_odd_raters(
    masks: Tensor,
    present: Tensor | None = None,
    *,
    names: Sequence[str] | None = None,
    fraction: float = FRACTION,
    stacklevel: int = 2,
) -> list[OddRaters]:
    """Look for odd raters in each case, and give an `OddRaterWarning` for each one found.

    Args:
        masks: bool (B, R, [D,] H, W).
        present: bool (B, R), who judged each case; None for everybody.
        names: what to call the raters, R of them; None says "rater 0" and so on.
        fraction: as for `odd_raters`.
        stacklevel: as for `warnings.warn`: 2 points at the caller.
    Returns:
        What was found in each case.
    Raises:
        InputError: as for `odd_raters`, or another number of names.
    """
    check_stack("masks", masks)
    who = as_present(masks, present)
    called = [f"rater {r}" for r in range(masks.shape[1])] if names is None else list(names)
    require(len(called) == masks.shape[1], f"{len(called)} names are given for {masks.shape[1]} raters; wanted equal")
    found = [odd_raters(case, here, fraction=fraction) for case, here in zip(masks, who, strict=True)]
    for number, case in enumerate(found):
        for rater in case.odd.nonzero()[:, 0].tolist():
            remedy = case.remedies.get(rater, "no flip, swap of axes or shift mends it")
            warnings.warn(
                f"{called[rater]} of case {number} has a mean Dice of {case.to_others[rater]:.3f} with the others, who "
                f"have {case.among_others[rater]:.3f} among themselves; {remedy}",
                OddRaterWarning,
                stacklevel=stacklevel,
            )
    return found


def odd_sentences(masks: Tensor, present: Tensor | None = None) -> list[str]:
    """What `odd_raters` finds in the first `CASES` cases of a dataset that may be a fault of its files.

    A sentence for each rater who is odd in half of the cases or more, or in one that a flip, a swap of axes or a shift
    would mend. Others who are odd now and then are bad raters.

    Args:
        masks: uint8 (N, R, [D,] H, W), classes; every class but 0 counts as drawn.
        present: bool (N, R), who judged each case; None for everybody. A case that nobody judged is passed over.
    Returns:
        sentences with the number of cases and what would mend one of them; often none.
    Raises:
        InputError: as for `odd_raters`.
    """
    few = masks[:CASES] > 0
    who = torch.ones(few.shape[:2], dtype=torch.bool) if present is None else present[:CASES]
    found = [odd_raters(case, here) for case, here in zip(few, who, strict=True) if bool(here.any())]
    told = []
    for rater in range(few.shape[1]):
        odd = [case for case in found if bool(case.odd[rater])]
        remedies = [case.remedies[rater] for case in odd if rater in case.remedies]
        if remedies or (odd and 2 * len(odd) >= len(found)):
            mends = f"; in one of them {remedies[0]}" if remedies else ""
            told.append(
                f"rater {rater} drew elsewhere than the others in {len(odd)} of {len(found)} cases looked at{mends}"
            )
    return told


def _agreement(drawn: Tensor) -> Tensor:
    """The first three fields of `OddRaters`, float64 (3, R), of two or more masks with pixels."""
    raters = len(drawn)
    dice = pairwise_dice(drawn[None], drawn[None])[0]
    with_others = dice.sum(dim=1) - 1  # each is 1 with itself
    among = (dice.sum() - raters - 2 * with_others).clamp(min=0) / ((raters - 1) * (raters - 2) or torch.nan)
    votes = drawn.sum(dim=0, dtype=torch.int32)
    to_majority = [pairwise_dice(one[None, None], (2 * (votes - one.int()) > raters - 1)[None, None]) for one in drawn]
    return torch.stack([with_others / (raters - 1), torch.cat(to_majority).flatten(), among])


def _remedies(mask: np.ndarray, others: np.ndarray) -> Iterator[Remedy]:
    """Every change tried on a mask ([D,] H, W) with its mean Dice to `others` (R, [D,] H, W), simplest first."""
    shape = mask.shape
    dims = tuple(range(mask.ndim))
    points = np.argwhere(mask)
    sizes = others.reshape(len(others), -1).sum(axis=1)

    def dice(moved: np.ndarray) -> float:
        inside = moved[((moved >= 0) & (moved < shape)).all(axis=1)]
        both = others[(slice(None), *inside.T)].sum(axis=1)
        return float((2 * both / (len(inside) + sizes)).mean())

    orders = [order for order in permutations(dims) if tuple(shape[axis] for axis in order) == shape]
    for order in orders:  # the first is the axes as they are
        for flipped in (axes for count in range(len(shape) + 1) for axes in combinations(dims, count)):
            if order != dims or flipped:
                moved = points[:, order].copy()
                moved[:, flipped] = np.array(shape)[list(flipped)] - 1 - moved[:, flipped]
                yield Remedy(order, flipped, (0,) * len(shape), dice(moved))
    center = np.mean([np.argwhere(one).mean(axis=0) for one in others], axis=0)
    shift = np.rint(center - points.mean(axis=0)).astype(int)
    yield Remedy(dims, (), tuple(shift.tolist()), dice(points + shift))
