"""The explorer of raters: flip through cases, hide raters, move the threshold that makes one mask of the votes.

How well do the raters who are shown stand for all? Their votes, cut at a threshold, are compared with the votes of all
who judged the case, cut at the same threshold: the QUBIQ score with the shown raters in place of a model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from labutils.core.checks import require
from labutils.core.types import Case
from labutils.explore.core import Explorer, module, pack_cases, require_index
from labutils.metrics.qubiq import thresholded_dice
from labutils.viz.agreement import Position, positions, vote_colors


def raters_at(case: Case, shown: Sequence[bool], threshold: int) -> Position:
    """What the explorer shows of one case.

    Args:
        case: 2D, with any class but 0 as foreground.
        shown: R, which raters are shown; a rater who is absent is never counted.
        threshold: 1 to 9, in tenths of the raters.
    Returns:
        The case, who is counted, and the Dice of their votes with everybody's at each of the nine thresholds. With
        nobody counted there are no votes to compare, and every Dice is NaN: a rater who is hidden is absent, and has
        not said that there is nothing.
    """
    masks, present = torch.from_numpy(case.masks != 0), torch.from_numpy(case.present)
    counted = case.present & np.asarray(shown, dtype=bool)
    if not counted.any():
        return Position(case, counted, threshold, (math.nan,) * 9)
    dice = thresholded_dice(masks[None, counted], masks[None], present[None])
    return Position(case, counted, threshold, tuple(dice[0].tolist()))


def raters_figure(cases: Sequence[Case], values: Sequence[dict]) -> Figure:
    """The explorer in some positions, one row each, from the values that it would have."""
    return positions([raters_at(cases[one["case"]], one["shown"], one["threshold"]) for one in values])


class RatersExplorer(Explorer):
    """Cases with every rater's outline to show or hide, their votes, and a threshold with the QUBIQ Dice under it.

    ``value``: ``case`` (0 to N - 1), ``shown`` (R booleans), ``threshold`` (1 to 9, in tenths).
    """

    name = "raters"
    _esm = module("raters")

    def __init__(self, cases: Sequence[Case], *, case: int = 0, threshold: int = 5, bars: bool = True) -> None:
        """Pack some cases.

        Args:
            cases: 2D, of one size, with one to eight raters; the first channel of an image is shown.
            case: which is shown first.
            threshold: 1 to 9, in tenths of the raters.
            bars: show the Dice of all nine thresholds beside the pictures, which need less room without.
        Raises:
            InputError: there is no case, sizes differ, there are more raters, or a start is out of range.
        """
        packed = pack_cases(cases)
        raters = len(packed["raters"])
        palettes = [np.rint(255 * vote_colors(n)[:, :3]).astype(int).tolist() for n in range(1, raters + 1)]
        data = {"title": "Raters: cases, outlines and votes", "bars": bars, "palettes": palettes, **packed}
        super().__init__(data, {"case": case, "shown": [True] * raters, "threshold": threshold})

    def check(self, value: Mapping[str, Any]) -> None:
        """Refuse a case that is not there, a rater too many or too few, and a threshold that no control gives."""
        require_index("case", value["case"], len(self.data["cases"]))
        shown, raters = value["shown"], len(self.data["raters"])
        require(len(shown) == raters, f"shown has {len(shown)} entries; wanted {raters}, one for each rater")
        require(value["threshold"] in range(1, 10), f"threshold is {value['threshold']}; wanted 1 to 9 tenths")
