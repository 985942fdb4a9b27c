"""How fast this machine computes just now, against the one that the book's time limits are meant for."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

UNIT_S = 0.25  # computing time of `unit_s` on two quiet cores of an AMD EPYC, for which the limits stand
REPEATS = 5


def unit_s() -> float:
    """Seconds of computing that a fixed piece of work takes: plain Python, NumPy, and a convolution that learns."""
    image = torch.linspace(0.0, 1.0, 16 * 8 * 28 * 28).view(16, 8, 28, 28)
    kernel = torch.linspace(-1.0, 1.0, 16 * 8 * 3 * 3).view(16, 8, 3, 3).requires_grad_()
    start = time.process_time()
    total = 0
    for number in range(600_000):
        total += number * number % 7
    values = np.linspace(0.0, 1.0, 100_000)
    for _ in range(15):
        values = np.sort(np.sin(7.0 * values))
    for _ in range(60):
        torch.conv2d(image, kernel, padding=1).relu().sum().backward()
    return time.process_time() - start


def slowness() -> float:
    """How many times longer than on that machine; never below 1, so that a fast machine gains no time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other count as computing
    try:
        return max(1.0, statistics.median(unit_s() for _ in range(REPEATS)) / UNIT_S)
    finally:
        torch.set_num_threads(threads)
