"""The explorer of raters: flip through cases, hide raters, move the threshold that makes one mask of the votes.

How well do the raters who are shown stand for all? Their votes, cut at a threshold, are compared with the votes of all
who judged the case, cut at the same threshold: the QUBIQ score with the shown raters in place of a model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from labutils.core.checks import require, require_shape
from labutils.core.types import Case
from labutils.explore.core import Explorer, module, pack, pack_images, rater_lines
from labutils.metrics.qubiq import thresholded_dice
from labutils.viz.agreement import Position, positions, vote_colors
from labutils.viz.outlines import bar_length

MOST_RATERS = 8  # one bit each in a byte


def raters_at(case: Case, shown: Sequence[bool], threshold: int) -> Position:
    """What the explorer shows of one case.

    Args:
        case: 2D, with any class but 0 as foreground.
        shown: R, which raters are shown; a rater who is absent is never counted.
        threshold: 1 to 9, in tenths of the raters.
    Returns:
        The case, who is counted, and the Dice of their votes with everybody's at each of the nine thresholds. With
        nobody counted nothing is marked.
    """
    masks, present = torch.from_numpy(case.masks != 0), torch.from_numpy(case.present)
    counted = case.present & np.asarray(shown, dtype=bool)
    everybody = masks[None], present[None]
    if counted.any():
        dice = thresholded_dice(masks[None, counted], *everybody)
    else:
        dice = thresholded_dice(torch.zeros(1, *masks.shape[1:]), *everybody)
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

    def __init__(self, cases: Sequence[Case], *, case: int = 0, threshold: int = 5) -> None:
        """Pack some cases.

        Args:
            cases: 2D, of one size, with one to eight raters; the first channel of an image is shown.
            case: which is shown first.
            threshold: 1 to 9, in tenths of the raters.
        Raises:
            InputError: there is no case, sizes differ, there are more raters, or a start is out of range.
        """
        require(len(cases) > 0, "cases is empty; wanted at least one case")
        raters, height, width = (require_shape("masks", cases[0].masks, "RHW")[axis] for axis in "RHW")
        require(raters <= MOST_RATERS, f"the cases have {raters} raters; wanted {MOST_RATERS} at most")
        require(0 <= case < len(cases), f"case is {case}; wanted 0 to {len(cases) - 1}")
        require(threshold in range(1, 10), f"threshold is {threshold}; wanted 1 to 9 tenths")
        for one in cases:
            require_shape(f"case {one.case!r}: masks", one.masks, "RHW", R=raters, H=height, W=width)
        bits = np.stack([np.packbits(one.masks != 0, axis=0, bitorder="little")[0] for one in cases])
        data = {
            "title": "Raters: cases, outlines and votes",
            "height": height,
            "width": width,
            "images": pack_images(np.stack([one.image[0] for one in cases])),
            "masks": pack(bits),
            "cases": [
                {
                    "label": one.case or f"case {place + 1}",
                    "present": one.present.tolist(),
                    "bar": bar_length(one.spacing_mm, width)._asdict(),
                    "tall": 1.0 if one.spacing_mm is None else one.spacing_mm[0] / one.spacing_mm[1],
                }
                for place, one in enumerate(cases)
            ],
            "raters": rater_lines(raters),
            "palettes": [np.rint(255 * vote_colors(n)[:, :3]).astype(int).tolist() for n in range(1, raters + 1)],
        }
        super().__init__(data, {"case": case, "shown": [True] * raters, "threshold": threshold})
