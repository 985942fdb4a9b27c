"""How fast this machine computes just now, against the one that the book's time limits are meant for."""

from __future__ import annotations

import statistics
import time

import numpy as np

UNIT_S = 0.25  # computing time of `unit_s` on two quiet cores of an AMD EPYC, for which the limits stand
REPEATS = 3


def unit_s() -> float:
    """Seconds of computing that a fixed piece of work takes, half of it plain Python and half NumPy."""
    start = time.process_time()
    total = 0
    for number in range(600_000):
        total += number * number % 7
    values = np.linspace(0.0, 1.0, 200_000)
    for _ in range(20):
        values = np.sort(np.sin(7.0 * values))
    return time.process_time() - start


def slowness() -> float:
    """How many times longer than on that machine; never below 1, so that a fast machine gains no time."""
    return max(1.0, statistics.median(unit_s() for _ in range(REPEATS)) / UNIT_S)
