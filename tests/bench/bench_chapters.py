"""Chapters in the smoke budget, against a fixed piece of work: how long one may compute, whatever the machine.

A chapter may take 20 s on two quiet cores of an AMD EPYC, where the piece takes a quarter of a second. A clock in a
test would instead measure who else uses the machine.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

from tests.bench.timing import Bench
from tests.notebooks.cells import CHAPTERS, run_cells

LONGEST_S = 20.0
PIECE_S = 0.25


def run(path: Path) -> None:
    """One chapter, which has to pass."""
    home = Path(tempfile.mkdtemp(prefix="bench-chapter-"))
    try:
        done = run_cells(path, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr


def piece_of_work() -> None:
    """What chapters are made of: plain Python, NumPy, and a convolution that learns."""
    image = torch.linspace(0.0, 1.0, 16 * 8 * 28 * 28).view(16, 8, 28, 28)
    kernel = torch.linspace(-1.0, 1.0, 16 * 8 * 3 * 3).view(16, 8, 3, 3).requires_grad_()
    total = 0
    for number in range(600_000):
        total += number * number % 7
    values = np.linspace(0.0, 1.0, 100_000)
    for _ in range(15):
        values = np.sort(np.sin(7.0 * values))
    for _ in range(60):
        torch.conv2d(image, kernel, padding=1).relu().sum().backward()


def benches() -> list[Bench]:
    """A row for each chapter."""
    return [
        Bench(
            name=f"chapter {path.stem}, smoke budget",
            ours=lambda path=path: run(path),
            peer=piece_of_work,
            peer_name=f"a piece of work of {PIECE_S:g} s",
            at_most=LONGEST_S / PIECE_S,
            turns=1,
        )
        for path in CHAPTERS
    ]
