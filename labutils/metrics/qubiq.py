"""The QUBIQ score: Dice of prediction and vote fraction at nine thresholds, every comparison in whole numbers.

With few raters a threshold often falls exactly on a vote fraction (5 of 10 at 0.5; 3 of 10 at 0.3), and floating point
then decides at random which side it falls. Here a pixel with v of R votes passes threshold t/10 when ``10 v >= t R``.
Source: QUBIQ challenge (qubiq.grand-challenge.org), which states thresholds 0.1 to 0.9 and the mean of their Dice; the
rule for ties and for empty masks is ours. The definition pools no pixels over thresholds, raters or cases.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from labutils.core.checks import InputError
from labutils.core.types import as_present
from labutils.metrics.inputs import check_map, check_pair, check_stack
from labutils.metrics.votes import foreground_votes

_UNITS = 1_000_000  # a float prediction is rounded to the nearest of these parts of 1


def thresholded_dice(prediction: Tensor, raters: Tensor, present: Tensor | None = None) -> Tensor:
    """Dice of the thresholded prediction and the thresholded votes at t/10, t = 1 to 9.

    Args:
        prediction: float (B, [D,] H, W) in [0, 1], a probability map; or bool (B, M, [D,] H, W), masks of M members
            (networks or samples), whose votes are then compared in whole numbers.
        raters: bool (B, R, [D,] H, W), one mask per rater.
        present: bool (B, R), who judged each case; None for everybody.
    Returns:
        float64 (B, 9) in [0, 1], one Dice per threshold; higher is better. Both empty: 1; one empty: 0. The score of
        a case is the mean over the last axis (`qubiq_score`).
    Raises:
        InputError: sizes differ, NaN, values outside [0, 1], another type, no rater or pixel, a case without raters.
    Notes:
        Votes pass t when ``10 v >= t R``. A float p is rounded to the nearest millionth and passes when
        ``10 round(10^6 p) >= 10^6 t``: a value a few float32 steps off a tenth counts as that tenth. Half-precision
        maps are too coarse for that; pass float32, or the members' masks.
    """
    check_stack("raters", raters)
    truth, truth_needs = _votes(raters, as_present(raters, present))
    if prediction.dtype == torch.bool:
        check_stack("prediction", prediction)
        check_pair("prediction", prediction, "raters", raters)
        found, found_needs = _votes(prediction, as_present(prediction, None))
    elif prediction.is_floating_point():
        check_map("prediction", prediction, raters)
        wide = prediction if prediction.dtype == torch.float64 else prediction.float()
        found = (wide * _UNITS).round_().div_(_UNITS // 10).to(torch.int32)  # tenths reached, 0 to 10
        found_needs = [list(range(1, 10))] * len(found)
    else:
        raise InputError(f"prediction is {prediction.dtype}; wanted probabilities, or masks of torch.bool")
    cases = zip(found, found_needs, truth, truth_needs, strict=True)
    scores = [_dice_from_histogram(*case) for case in cases]
    return torch.tensor(scores, dtype=torch.float64, device=raters.device)


def qubiq_score(prediction: Tensor, raters: Tensor, present: Tensor | None = None) -> Tensor:
    """Mean of `thresholded_dice` over its nine thresholds: float64 (B,) in [0, 1]; higher is better."""
    return thresholded_dice(prediction, raters, present).mean(dim=1)


def votes_needed(raters: int) -> list[int]:
    """The fewest of R votes that pass each of the nine thresholds: the least v with ``10 v >= t R``."""
    return [-(-t * raters // 10) for t in range(1, 10)]


def _votes(masks: Tensor, present: Tensor) -> tuple[Tensor, list[list[int]]]:
    votes, counts = foreground_votes(masks, present)
    return votes, [votes_needed(count) for count in counts.tolist()]


def _dice_from_histogram(found: Tensor, found_needs: list[int], truth: Tensor, truth_needs: list[int]) -> list[float]:
    """Dice at each threshold from one joint histogram of two maps of whole numbers, int32 ([D,] H, W).

    Threshold t is passed by values of at least ``found_needs[t]`` in the one and ``truth_needs[t]`` in the other.
    """
    rows, columns = max(int(found.max()), *found_needs) + 1, max(int(truth.max()), *truth_needs) + 1
    joint = torch.bincount((columns * found + truth).flatten(), minlength=rows * columns).reshape(rows, columns)
    passed = joint.cpu().numpy()[::-1, ::-1].cumsum(axis=0).cumsum(axis=1)[::-1, ::-1]  # found >= i and truth >= j
    both = passed[found_needs, truth_needs]
    total = passed[found_needs, 0] + passed[0, truth_needs]
    return np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0).tolist()
