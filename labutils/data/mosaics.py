"""Several planted cases side by side as one: each object's answer is drawn by itself, so that doubt is local.

In a planted case a mask gives one answer to one object. In a mosaic of T cases it gives T answers, each by a lot of its
own: of two answers to every object there are 2^T for the image.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from labutils.core.checks import require
from labutils.data.planted import Planted
from labutils.data.store import Store
from labutils.metrics.styles import nearest_style


class Mosaic(NamedTuple):
    """Cases of several objects, and what was planted in them."""

    store: Store  # truth given; exchangeable raters
    drawn_by: np.ndarray  # int64 (N, R, T): which answer each mask gives to each object, row by row
    rows: int
    columns: int
    modes: np.ndarray  # uint8 (N, T, styles, h, w): what each style would most likely draw of each object

    def objects(self, maps: Tensor) -> Tensor:
        """Maps of whole cases cut into those of their objects: (..., H, W) to (..., T, h, w), row by row.

        Raises:
            InputError: the maps have another size than the cases.
        """
        height, width = self.store.image.shape[-2:]
        found = tuple(maps.shape[-2:])
        require(found == (height, width), f"maps are {found}; wanted {(height, width)} as the cases of the mosaic")
        cut = maps.unflatten(-1, (self.columns, -1)).unflatten(-3, (self.rows, -1))  # (..., rows, h, columns, w)
        return cut.transpose(-3, -2).flatten(-4, -3)

    def answered(self, masks: Tensor, least: float) -> Tensor:
        """Which style each object's mask is nearest to, of masks (N, S, H, W): int64 (N, S, T), -1 for none.

        Args:
            masks: bool (N, S, H, W).
            least: Dice with the nearest style, below which it is none.
        """
        each, modes = self.objects(masks), torch.from_numpy(self.modes) > 0
        kinds = [nearest_style(each[:, :, at], modes[:, at], least=least) for at in range(each.shape[2])]
        return torch.stack(kinds, dim=-1)


def mosaic(planted: Planted, rows: int, columns: int) -> Mosaic:
    """One case of every ``rows * columns`` planted ones, in their order; what is left over is left out.

    Args:
        planted: exchangeable raters with a truth; the r-th masks of the cases joined become the r-th mask.
        rows: of objects.
        columns: of objects.
    Raises:
        InputError: rows or columns are below 1, there are too few cases, the raters are identified, or a rater judged
            some of the cases that are joined and not the others.
    """
    require(rows >= 1 and columns >= 1, f"rows and columns are {rows} and {columns}; wanted 1 or more of each")
    small, objects = planted.store, rows * columns
    count = len(small) // objects
    require(count, f"{len(small)} cases were given for {objects} objects a case; wanted at least as many")
    require(not small.card.identified, f"raters of {small.card.name!r} are identified; wanted exchangeable ones")
    judged = small.present[: count * objects].reshape(count, objects, -1)
    same = (judged == judged[:, :1]).all(axis=(1, 2))
    first = small.cases[objects * int(same.argmin())]
    require(same.all(), f"{objects} cases from {first!r} on differ in who judged them; wanted the same raters in each")

    def joined(array: np.ndarray) -> np.ndarray:
        """(N T, ..., h, w) to (N, ..., rows h, columns w)."""
        tiles = array[: count * objects].reshape(count, rows, columns, *array.shape[1:])
        lines = np.concatenate([tiles[:, :, column] for column in range(columns)], axis=-1)
        return np.concatenate([lines[:, row] for row in range(rows)], axis=-2)

    firsts = slice(0, count * objects, objects)
    store = replace(
        small,
        image=joined(small.image),
        masks=joined(small.masks),
        present=judged[:, 0],
        truth=None if small.truth is None else joined(small.truth),
        spacing_mm=small.spacing_mm[firsts],
        patients=small.patients[firsts],
        cases=small.cases[firsts],
    )
    raters = planted.drawn_by.shape[1]
    drawn_by = planted.drawn_by[: count * objects].reshape(count, objects, raters).swapaxes(1, 2)
    modes = np.stack([planted.likeliest(index) for index in range(count * objects)])
    return Mosaic(store, drawn_by, rows, columns, modes.reshape(count, objects, *modes.shape[1:]))
