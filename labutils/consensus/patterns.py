"""Distinct vote patterns of a case: pixels with the same votes are alike to every method that ignores where they lie.

EM over patterns costs the same for any image size; what it finds is painted back onto the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from labutils.core.checks import require

_CODES = 2**16  # up to here a pattern is a small whole number and counting is one bincount
_GROUP = 2**32  # more raters are taken in groups of so many kinds, which leaves 31 bits for the kinds before


class Patterns(NamedTuple):
    """Distinct vote patterns of P kinds; a rater that is not `seen` has no say in it."""

    votes: np.ndarray  # uint8 (R, P), class labels; 0 where not seen
    seen: np.ndarray  # bool (R, P)
    pixels: np.ndarray  # float64 (P,), how many pixels have the pattern

    def ballots(self, classes: int) -> np.ndarray:
        """Whether a rater gave a class: float64 (K, R, P) of 0 and 1."""
        return ((self.votes == np.arange(classes)[:, None, None]) & self.seen).astype(np.float64)


class Counted(NamedTuple):
    """The patterns of one case, and where they are."""

    patterns: Patterns
    codes: np.ndarray  # int (P,), what stands for each pattern in `code`, ascending
    code: np.ndarray  # int (N,), the pattern of each pixel

    def paint(self, values: np.ndarray) -> np.ndarray:
        """The value of each pixel's pattern: `values` (P,) to (N,), of their type."""
        table = np.zeros(self.codes[-1] + 1, values.dtype)
        table[self.codes] = values
        return np.take(table, self.code, mode="clip")  # no code is out of bounds; clip skips a copy


class Estimate(NamedTuple):
    """What EM finds on P patterns."""

    posterior: np.ndarray  # float64 (K, P), sums to 1 over K
    rates: (
        np.ndarray
    )  # float64 (K, K, R), chance of a label (second axis) given the truth (first); sums to 1 over labels
    known: np.ndarray  # bool (K, R), whether the rater saw anything of that truth, so that `rates` say something
    prior: np.ndarray  # float64 (K,), sums to 1
    log_likelihood: tuple[float, ...]  # in nats, after each step
    steps: int  # EM steps taken
    converged: bool


class Fitted(NamedTuple):
    """One case and what was estimated for it, alone or with others."""

    counted: Counted
    posterior: np.ndarray  # float64 (K, P) on the patterns of this case
    estimate: Estimate


def fit_cases(
    labels: np.ndarray, present: np.ndarray, classes: int, *, pooled: bool, fit: Callable[[Patterns], Estimate]
) -> list[Fitted]:
    """Fit each case, or all of them together, on their patterns.

    Args:
        labels: uint8 (B, R, N), class labels below `classes`; those of absent raters are not read.
        present: bool (B, R).
        classes: K.
        pooled: whether `fit` sees the patterns of all cases at once.
        fit: estimates from patterns.
    """
    counted = [count_patterns(stack, seen, classes) for stack, seen in zip(labels, present, strict=True)]
    fitted: list[Fitted] = []
    for group in [counted] if pooled else [[case] for case in counted]:
        together = Patterns(
            *(np.concatenate(part, axis=-1) for part in zip(*(case.patterns for case in group), strict=True))
        )
        estimate = fit(together)
        ends = np.cumsum([len(case.codes) for case in group])[:-1]
        fitted += [
            Fitted(*one, estimate) for one in zip(group, np.split(estimate.posterior, ends, axis=1), strict=True)
        ]
    return fitted


def count_patterns(labels: np.ndarray, seen: np.ndarray, classes: int) -> Counted:
    """The distinct columns of uint8 labels (R, N), raters not `seen` (R,) blanked, how often and where they occur."""
    raters = len(labels)
    if classes**raters <= _CODES:
        weights = np.array([classes**rater for rater in range(raters)])
        code = np.zeros(labels.shape[1], np.uint16)
        for rater in np.flatnonzero(seen):
            code += labels[rater] * np.uint16(weights[rater])
        histogram = np.bincount(code)
        codes = np.flatnonzero(histogram)
        pixels = histogram[codes]
        votes = (codes // weights[:, None] % classes).astype(np.uint8)
    else:
        first, code, pixels = _distinct(labels[seen], classes)
        codes, votes = np.arange(len(first)), np.where(seen[:, None], labels[:, first], 0).astype(np.uint8)
    return Counted(Patterns(votes, np.broadcast_to(seen[:, None], votes.shape), pixels.astype(np.float64)), codes, code)


def pool_patterns(labels: np.ndarray, present: np.ndarray, classes: int) -> Patterns:
    """The distinct patterns of all cases together, raters who are absent not `seen`.

    Args:
        labels: uint8 (B, R, N), class labels below `classes`; those of absent raters are not read.
        present: bool (B, R).
        classes: K, 2 to 255.
    Raises:
        InputError: there are more classes.
    """
    require(classes <= 255, f"classes is {classes}; wanted 255 or fewer, as one label stands for absent raters")
    absent = np.uint8(classes)  # a label of its own, for the counting alone
    marked = np.where(present[:, :, None], labels, absent).swapaxes(0, 1).reshape(labels.shape[1], -1)
    votes, _, pixels = count_patterns(marked, np.ones(len(marked), bool), classes + 1).patterns
    return Patterns(np.where(votes == absent, np.uint8(0), votes), votes != absent, pixels)


def _distinct(labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pixel of each kind of column of labels (R, N), the kind of every pixel, and how many there are of each."""
    at_once = max(count for count in range(1, 33) if classes**count <= _GROUP)
    kind = np.zeros(labels.shape[1], np.int64)
    for begin in range(0, len(labels), at_once):
        for rater in labels[begin : begin + at_once]:
            kind = kind * classes + rater
        _, first, kind, pixels = np.unique(kind, return_index=True, return_inverse=True, return_counts=True)
    return first, kind, pixels
