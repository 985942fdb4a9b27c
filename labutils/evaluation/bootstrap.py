"""Intervals over patients: cases of one patient rise and fall together, so patients, not cases, are drawn anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labutils.core.checks import require


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over cases with its bootstrap interval."""

    mean: float  # NaN where no case has a value
    low: float
    high: float
    cases: int  # with a value
    patients: int
    undefined: int  # cases whose value is NaN, left out of the mean
    level: float

    def excludes(self, value: float) -> bool:
        """Whether `value` lies outside the interval; never for an interval that is NaN."""
        return bool(value < self.low or value > self.high)


def expanded_tail(patients: int, level: float) -> float:
    """The share of resampled means left outside an interval at either end, below (1 - level) / 2 for few patients.

    A bootstrap spread has divisor n where an unbiased one has n - 1, and its quantiles are those of a normal
    distribution where few patients ask for Student's t. Both are made up for by going further out: to
    Phi(sqrt(n / (n - 1)) * t), t the quantile (1 - level) / 2 of Student's distribution with n - 1 degrees of
    freedom. For a mean of equally large patients the interval is then as wide as the t interval.

    Args:
        patients: n, 2 or more.
        level: between 0 and 1.
    Source: Hesterberg 2015, The American Statistician 69(4), expanded percentile interval.
    """
    from scipy.special import ndtr, stdtrit

    t = stdtrit(patients - 1, (1 - level) / 2)
    return float(ndtr(math.sqrt(patients / (patients - 1)) * t))


def bootstrap_mean(
    values: Sequence[float] | np.ndarray,
    patients: Sequence[str],
    rng: np.random.Generator,
    *,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Mean over cases and its expanded percentile interval under resampling of whole patients.

    Args:
        values: float (cases,), one score a case; NaN means undefined, and is left out and counted.
        patients: (cases,), whose case it is.
        rng: draws the resamples.
        resamples: how many; the ends' Monte Carlo error falls with its root.
        level: how often the interval shall hold the mean of all patients there could be.
    Returns:
        The interval; with fewer than 2 patients its ends are NaN, since nothing is known of spread between patients.
    Raises:
        InputError: lengths differ, or `level` is not between 0 and 1.
    Notes:
        A resample weights each patient by how often it was drawn and keeps all its cases (Field and Welsh 2007). The
        ends are the resampled means' quantiles at `expanded_tail`, so they never leave the range of the scores. The
        quantiles at (1 - level) / 2 would be too narrow for few patients. Where a few patients hold most of the cases,
        the interval still holds somewhat less often than it says.
    """
    scores, names = np.asarray(values, np.float64), np.asarray(patients, dtype=str)
    require(scores.shape == names.shape and scores.ndim == 1, f"{scores.shape} values for {names.shape} patients")
    require(0 < level < 1, f"level is {level}; wanted a share between 0 and 1")
    defined = ~np.isnan(scores)
    _, owner = np.unique(names[defined], return_inverse=True)
    count = int(owner.max()) + 1 if owner.size else 0
    mean = float(scores[defined].mean()) if owner.size else float("nan")
    low = high = float("nan")
    if count >= 2:
        sums, sizes = np.bincount(owner, scores[defined], count), np.bincount(owner, minlength=count)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)  # (resamples, patients)
        means = (drawn @ sums) / (drawn @ sizes)
        tail = expanded_tail(count, level)
        low, high = (float(end) for end in np.quantile(means, [tail, 1 - tail]))
    return Interval(
        mean=mean,
        low=low,
        high=high,
        cases=int(owner.size),
        patients=count,
        undefined=int((~defined).sum()),
        level=level,
    )


def paired_difference(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    patients: Sequence[str],
    rng: np.random.Generator,
    *,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """`bootstrap_mean` of a - b on the same cases; a case undefined in either is left out and counted."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    require(first.shape == second.shape, f"{first.shape} values against {second.shape}; wanted the same cases")
    return bootstrap_mean(first - second, patients, rng, resamples=resamples, level=level)
