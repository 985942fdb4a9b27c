"""Can the labels tell errors from the truth? Reasons to doubt it, found in the labels alone.

Where truth and noise can swap, every model that learns both still gives an answer, and nothing in the answer shows it.
The checks here need no network and no truth: masks in, findings out. Each finding is a reason why the truth is
not identified by what raters drew, if nothing is known but that they draw the same cases:

- **one-label**, **few-raters**: no case has three raters, so that too little is seen of how they agree.
- **no-difference**: raters hardly ever differ; an error of all looks like the truth.
- **untestable**: three raters of two classes fit any errors, so nothing shows whether they err independently.
- **rival-truth**: another truth explains the labels, to within what the model itself fails to explain, or better.
- **dependent-errors**: two raters agree otherwise than independent errors can make them.
- **most-are-wrong**: of some class, raters mostly say another one.

No finding is no proof. What all raters do wrong together with a chance of their own beside it looks as if the shared
mask were the truth, and is seen by none of these checks. Source of the count of raters: a model of
independent raters and two classes needs three views (Dawid and Skene 1979 for the model).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from labutils.consensus.patterns import Patterns, pool_patterns
from labutils.consensus.rivals import Answer, Rivals, dominance_of_mean, rival_answers
from labutils.core.checks import require
from labutils.metrics.inputs import check_label_masks

CASES = 200  # the first so many are looked at
MOST_RATERS = 8  # those with the most cases are looked at; vote patterns grow with a power of their number
HARDLY = 0.01  # raters hardly differ below this share of the pixels that any of them marked
OTHER = 0.9  # two answers are different ones below this Dice
AS_GOOD_NATS = 1e-4  # per pixel: answers this close are equally likely, whatever the misfit
DEPENDENT = 0.05  # of what pairs of raters tell of each other, on average; independent errors leave less unexplained
CHANCE_NATS = 20.0  # over all pixels; what is unexplained by less can be chance


class NotIdentifiedWarning(UserWarning):
    """The labels alone cannot tell raters' errors from the truth."""


class Finding(NamedTuple):
    """One reason why truth and noise can swap."""

    name: str  # such as "rival-truth", see the head of the module
    sentence: str
    numbers: Mapping[str, float]  # what the sentence rests on


class Identifiability(NamedTuple):
    """What was found in the labels of some cases."""

    findings: tuple[Finding, ...]  # empty where no reason for doubt was found
    cases: int  # looked at
    raters: tuple[int, ...]  # looked at, by their place on the rater axis
    misfit_nats: float  # per pixel, see `labutils.consensus.rivals`; NaN where no case has three raters
    answers: tuple[Answer, ...]  # besides the one found from the votes; `rater` counts within `raters`
    dependence_nats: Tensor  # float64 (R, R) of `raters`, what independent errors leave unexplained; NaN: not both seen


def check_identifiability(
    masks: Tensor,
    present: Tensor | None,
    classes: int,
    *,
    names: Sequence[str] | None = None,
    cases: int = CASES,
) -> Identifiability:
    """Look in the labels for reasons why they cannot tell errors from the truth.

    Args:
        masks: uint8 (B, R, [D,] H, W), class labels below `classes`. Rater r is the same person in every case.
        present: bool (B, R), who judged each case; None for everybody.
        classes: K, at least 2.
        names: what to call the raters, R of them; None says "rater 0" and so on.
        cases: the first so many are looked at, 1 or more.
    Returns:
        `Identifiability`.
    Raises:
        InputError: wrong axes or type, no rater or pixel, a case without raters, a label of `classes` or more, another
            number of names than raters, or no case to look at.
    Notes:
        No chance is in it. Of more than `MOST_RATERS` raters, those with the most cases (of equal ones the first) are
        looked at, so that the cost is one pass over the pixels and EM over a bounded number of patterns.
    """
    require(cases >= 1, f"cases is {cases}; wanted 1 or more")
    masks, present = masks[:cases], None if present is None else present[:cases]
    who = check_label_masks(masks, present, classes).cpu().numpy()
    count = masks.shape[1]
    called = [f"rater {r}" for r in range(count)] if names is None else list(names)
    require(len(called) == count, f"{len(called)} names are given for {count} raters; wanted equal")
    chosen = np.sort(np.argsort(-who.sum(axis=0), kind="stable")[:MOST_RATERS])
    kept = who[:, chosen].any(axis=1)
    here = who[kept][:, chosen]
    labels = masks.cpu().flatten(2).numpy()[kept][:, chosen]
    patterns = pool_patterns(labels, here, classes)
    most = int(here.sum(axis=1).max())
    findings = [*_raters(most, classes), *(_difference(patterns) if most > 1 else ())]
    raters = tuple(int(r) for r in chosen)
    nothing = torch.full((len(chosen), len(chosen)), torch.nan, dtype=torch.float64)
    if most < 3:
        return Identifiability(tuple(findings), int(kept.sum()), raters, float("nan"), (), nothing)
    said = [called[r] for r in raters]
    rivals = rival_answers(patterns, classes)
    unexplained, shared = _pairs(patterns, rivals, classes)
    findings += [*_rival(rivals, said), *_dependence(unexplained, shared, patterns, said), *_most_wrong(rivals)]
    return Identifiability(
        tuple(findings), int(kept.sum()), raters, rivals.misfit_nats, rivals.others, torch.from_numpy(unexplained)
    )


def warn_if_not_identified(
    masks: Tensor,
    present: Tensor | None,
    classes: int,
    *,
    names: Sequence[str] | None = None,
    cases: int = CASES,
    stacklevel: int = 2,
) -> Identifiability:
    """`check_identifiability`, with a `NotIdentifiedWarning` for each finding.

    Args:
        masks: as for `check_identifiability`.
        present: likewise.
        classes: likewise.
        names: likewise.
        cases: likewise.
        stacklevel: as for `warnings.warn`: 2 points at the caller.
    Returns:
        What was found.
    Raises:
        InputError: as for `check_identifiability`.
    """
    found = check_identifiability(masks, present, classes, names=names, cases=cases)
    for finding in found.findings:
        warnings.warn(f"the truth is not identified: {finding.sentence}", NotIdentifiedWarning, stacklevel=stacklevel)
    return found


def _raters(most: int, classes: int) -> list[Finding]:
    """Whether enough raters share a case."""
    numbers = {"raters": float(most)}
    if most == 1:
        told = "every case has one rater, so that nothing in the labels alone tells errors from the truth; only a "
        return [Finding("one-label", told + "network that sees the images may", numbers)]
    if most == 2:
        told = "no case has three raters, and two fit many truths equally well"
        return [Finding("few-raters", told, numbers)]
    seen, learned = classes**most - 1, classes - 1 + most * classes * (classes - 1)
    if seen <= learned:
        told = f"no case has more than {most} raters, whose labels fit any errors, so that nothing shows whether they "
        return [Finding("untestable", told + "err independently; a fourth rater would", numbers)]
    return []


def _difference(patterns: Patterns) -> list[Finding]:
    """Whether raters differ at all, in the pixels that any of them marked."""
    marked = ((patterns.votes > 0) & patterns.seen).any(axis=0)
    highest = np.where(patterns.seen, patterns.votes, 0).max(axis=0)
    lowest = np.where(patterns.seen, patterns.votes, 255).min(axis=0)
    total = patterns.pixels @ marked
    share = float(patterns.pixels @ (highest != lowest) / total) if total else 0.0
    if share >= HARDLY:
        return []
    told = f"raters differ in a share of {share:.4f} of the pixels that any of them marked; an error that all make "
    return [Finding("no-difference", told + "looks like the truth", {"differing": share})]


def _rival(rivals: Rivals, called: Sequence[str]) -> list[Finding]:
    """The likeliest other truth that the likelihood does not rule out."""
    slack = max(rivals.misfit_nats, AS_GOOD_NATS)
    open_ = [one for one in rivals.others if one.dominant and one.dice < OTHER and one.gain_nats >= -slack]
    if not open_:
        return []
    best = max(open_, key=lambda one: one.gain_nats)
    told = (
        f"the truth found from the votes is nearest to {called[rivals.rater]} (Dice {rivals.rater_dice:.3f}), and "
        f"another, nearest to {called[best.rater]} (Dice {best.rater_dice:.3f}), is {abs(best.gain_nats):.4f} nats per "
        f"pixel {'more' if best.gain_nats > 0 else 'less'} likely, where the model itself misses the labels by "
        f"{rivals.misfit_nats:.4f}: truth and noise can swap"
    )
    numbers = {
        "gain_nats": best.gain_nats,
        "misfit_nats": rivals.misfit_nats,
        "dice": best.dice,
        "rater": float(best.rater),
        "rater_dice": best.rater_dice,
        "fitted_rater": float(rivals.rater),
        "fitted_rater_dice": rivals.rater_dice,
    }
    return [Finding("rival-truth", told, numbers)]


def _pairs(patterns: Patterns, rivals: Rivals, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Per pair of raters and pixel both judged, (R, R): nats that the fit leaves unexplained, and nats they share."""
    ballots = patterns.ballots(classes)
    counts = np.einsum("irp,jsp,p->rsij", ballots, ballots, patterns.pixels, optimize=True)
    totals = counts.sum(axis=(2, 3), keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = counts / totals
        rates, prior = rivals.fitted.rates, rivals.fitted.prior
        predicted = np.einsum("k,kir,kjs->rsij", prior, rates, rates, optimize=True)
        alone = observed.sum(axis=3, keepdims=True) * observed.sum(axis=2, keepdims=True)
        unexplained, shared = (_divergence(observed, model) for model in (predicted, alone))
    unexplained[np.eye(len(unexplained), dtype=bool)] = np.nan
    return unexplained, np.where(np.isnan(unexplained), np.nan, shared)


def _divergence(observed: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Kullback-Leibler divergence over the last two axes, in nats; NaN where nothing was observed."""
    terms = np.where(observed > 0, observed * np.log(observed / np.maximum(model, 1e-300)), 0.0)
    return np.where(np.isnan(observed).any(axis=(2, 3)), np.nan, terms.sum(axis=(2, 3)))


def _dependence(
    unexplained: np.ndarray, shared: np.ndarray, patterns: Patterns, called: Sequence[str]
) -> list[Finding]:
    """The pair of raters whose agreement independent errors explain least."""
    once = np.triu(np.ones_like(unexplained, bool), k=1) & ~np.isnan(unexplained)
    each_once = np.where(once, unexplained, -np.inf)
    first, second = (int(r) for r in np.unravel_index(each_once.argmax(), each_once.shape))
    nats = float(unexplained[first, second])
    share = nats / max(float(np.nanmean(shared)), 1e-12)
    both = float(patterns.pixels @ (patterns.seen[first] & patterns.seen[second]))
    if share < DEPENDENT or nats * both < CHANCE_NATS:
        return []
    told = (
        f"{called[first]} and {called[second]} do not err independently: {nats:.4f} nats per pixel of how often they "
        f"agree stay unexplained, {share:.2f} of what pairs of raters tell of each other on average"
    )
    numbers = {"nats": nats, "share": share, "first": float(first), "second": float(second)}
    return [Finding("dependent-errors", told, numbers)]


def _most_wrong(rivals: Rivals) -> list[Finding]:
    """Classes that raters mostly call otherwise."""
    margins = dominance_of_mean(rivals.fitted)
    label, margin = int(margins.argmin()), float(margins.min())
    if margin > 0:
        return []
    told = (
        f"where the fitted truth is class {label}, raters say another class at least as often ({-margin:.3f} more): "
        f"if most are wrong, so may the truth be"
    )
    return [Finding("most-are-wrong", told, {"class": float(label), "margin": margin})]
