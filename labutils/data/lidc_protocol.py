"""What the two ways to prepare LIDC-IDRI have in common: named filters that count, and files not yet written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PreparedFile(NamedTuple):
    """One file of a prepared folder."""

    path: str  # relative to the folder of its split, "/" between names
    content: bytes


class Made(NamedTuple):
    """What a protocol makes of one scan."""

    files: list[PreparedFile]
    images: list[str]  # ids of the cases
    removed: Counter[str]  # candidate images by the first filter that refused them
    rows: list[dict[str, str]]  # of a table of nodules, where there is one


def refused_by(*filters: tuple[str, bool]) -> str | None:
    """The first of the named filters that a candidate does not pass; None where it passes all."""
    return next((name for name, passes in filters if not passes), None)


def box_of(points: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest row and column of outlines (V, 2), both inclusive."""
    stacked = np.vstack(points)
    return stacked.min(axis=0), stacked.max(axis=0)
