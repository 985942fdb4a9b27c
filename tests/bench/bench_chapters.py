"""Chapters in the smoke budget: how long each computes, on one thread, against the 20 s that it may.

A clock in a test would measure who else uses the machine; this is to be run on a quiet one.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.bench.timing import Bench
from tests.notebooks.cells import CHAPTERS, run_cells

LONGEST_S = 20.0


def run(path: Path) -> None:
    """One chapter, which has to pass."""
    home = Path(tempfile.mkdtemp(prefix="bench-chapter-"))
    try:
        done = run_cells(path, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr


def benches() -> list[Bench]:
    """A row for each chapter."""
    return [
        Bench(
            name=f"chapter {path.stem}, smoke budget",
            ours=lambda path=path: run(path),
            peer=LONGEST_S,
            peer_name="the budget",
            at_most=1.0,
            turns=1,
        )
        for path in CHAPTERS
    ]
