"""Shape letters, and the records that travel between rooms; no logic beyond checking them.

Every docstring in labutils uses these letters and no others::

    B batch   C channels   K classes   D H W plane, row, column   R raters   S samples   Z latent

Images are float32 (C, [D,] H, W) in [0, 1]. A mask is a label map, uint8, class 0 the background; rater masks are
(R, [D,] H, W). Axes are plane, row, column, and so are points and spacings. Names ending in ``_mm``, ``_px``,
``_nats``, ``_s`` carry that unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from labutils.core.checks import InputError, require, require_choice, require_shape

SHAPE_LETTERS = {
    "B": "batch",
    "C": "channels",
    "K": "classes",
    "D": "planes",
    "H": "rows",
    "W": "columns",
    "R": "raters",
    "S": "samples",
    "Z": "latent size",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One image and what every rater drew on it.

    ``present[r]`` False means rater r never judged this case; an empty mask with ``present[r]`` True means that rater
    judged it and drew nothing. The two are never mixed.
    """

    image: np.ndarray  # float32 (C, [D,] H, W) in [0, 1]
    masks: np.ndarray  # uint8 (R, [D,] H, W), class labels; all zero where present is False
    present: np.ndarray  # bool (R,)
    truth: np.ndarray | None = None  # uint8 ([D,] H, W) where a truth is known, else None
    spacing_mm: tuple[float, ...] | None = None  # ([plane,] row, column); None where nobody knows it
    patient: str = ""
    case: str = ""

    def __post_init__(self) -> None:
        where = f"case {self.case!r}"
        sizes = require_shape(f"{where}: image", self.image, "C[D]HW")
        space = {axis: sizes[axis] for axis in "DHW" if axis in sizes}
        require_shape(f"{where}: masks", self.masks, "R[D]HW" if "D" in space else "RHW", **space)
        require_shape(f"{where}: present", self.present, "R", R=self.masks.shape[0])
        if self.spacing_mm is not None:
            require(len(self.spacing_mm) == len(space), f"{where}: spacing {self.spacing_mm} for {len(space)} axes")
            require(all(s > 0 for s in self.spacing_mm), f"{where}: spacing {self.spacing_mm} must be positive")
        require(self.present.any(), f"{where}: no rater is present")
        if self.truth is not None:
            require_shape(f"{where}: truth", self.truth, "[D]HW", **space)


class Batch(NamedTuple):
    """Cases stacked for a model; raters are padded to the most any case has, with ``present`` False."""

    image: Tensor  # float32 (B, C, H, W) in [0, 1]
    masks: Tensor  # uint8 (B, R, H, W), class labels
    present: Tensor  # bool (B, R)
    truth: Tensor | None = None  # uint8 (B, H, W)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(
            self.image.to(device),
            self.masks.to(device),
            self.present.to(device),
            None if self.truth is None else self.truth.to(device),
        )


class Stage(NamedTuple):
    """One part of a network, the image it is given, or a field of what it gives."""

    name: str  # as in ``network.get_submodule(name)``; a field's name for what it gives
    role: Literal["image", "stage", "output"]
    shape: tuple[int, ...]  # of its result for one image: (C, [D,] H, W), (Z,) for a latent
    parameters: int  # numbers it learns


class Flow(NamedTuple):
    """The result of one stage goes into another, with nothing but fixed operations between."""

    source: str
    target: str
    skip: bool  # the target also gets it the longer way, through other stages


class Architecture(NamedTuple):
    """What a network is made of, in the order in which it runs; plain numbers, so that anything can draw it."""

    stages: tuple[Stage, ...]
    flows: tuple[Flow, ...]

    @property
    def parameters(self) -> int:
        """Numbers the network learns."""
        return sum(stage.parameters for stage in self.stages)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The one number a run, a search and its pruner all look at, and which way is better."""

    metric: str = "dice"
    direction: Literal["maximize", "minimize"] = "maximize"

    def __post_init__(self) -> None:
        require_choice("goal direction", self.direction, ("maximize", "minimize"))

    def better(self, value: float, best: float | None) -> bool:
        """Whether `value` improves on `best`; NaN never does, and any number improves on None."""
        if np.isnan(value):
            return False
        return best is None or (value > best if self.direction == "maximize" else value < best)


def as_present(masks: Tensor, present: Tensor | None) -> Tensor:
    """Who judged each case, bool (B, R): `present` as given, or everybody; each case must have somebody.

    Raises:
        InputError: shapes differ, R is 0, or a case has no rater.
    """
    if masks.shape[1] == 0:
        raise InputError(f"masks of shape {tuple(masks.shape)} hold no rater; wanted R >= 1")
    if present is None:
        return torch.ones(masks.shape[:2], dtype=torch.bool, device=masks.device)
    require_shape("present", present, "BR", B=masks.shape[0], R=masks.shape[1])
    empty = (~present.bool()).all(dim=1)
    if bool(empty.any()):
        raise InputError(f"case {int(empty.nonzero()[0])} of the batch has no rater present")
    return present.bool()
