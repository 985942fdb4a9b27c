r"""Raters given by their confusion matrices: entry [i, j] is p(rater says i | truth is j), and columns sum to 1.

A rater tells its matrix at each pixel of a true label map; it is the same everywhere (`Everywhere`), or depends on the
distance from the rim (`Over`, `Under`) or on the position (`Sideways`). What can be learned from their labels alone:

**One matrix per rater** is identified, up to the names of the classes, where at least three raters err independently of
each other given the truth and their matrices have independent columns: the joint frequencies of their labels then have
one explanation by so many classes. A mean matrix whose diagonal is the largest of each column fixes the names. With one
label per image the image has to take the place of the other raters: pixels that are certain to be of a class show
its column.

**A matrix at each pixel** that may change freely with the image is not identified by independence alone, as any truth
is explained by matrices to match. It is under one more assumption: in the mean over raters the diagonal is
the largest of the true class's column, at every pixel. The truth is then what most labels say, and only
the column of the true class is known; labels say nothing of the others. `Over`, `Under` and `Sideways` beside a
good rater are planted so; `labutils.metrics.confusion.dominance` is positive at all pixels.

**Raters who share their errors** are never identified. Let all draw the same mask of a truth: the
labels are as likely when that mask is the truth and every rater exact. More such raters, or more images, add nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch

from labutils.core.checks import ConfigError, require, require_choice
from labutils.metrics.confusion import column_of_truth

CORE = 0.5  # of the way from the rim of an object to its innermost pixel: where its core begins


class PlantedRater(Protocol):
    """Somebody whose matrices are known."""

    @property
    def name(self) -> str:
        """What the rater is called."""

    def at(self, truth: np.ndarray, classes: int) -> np.ndarray:
        """Matrices on uint8 (H, W): float32 (K, K, H, W), possibly a read-only view."""


def even_slips(classes: int, slip: float) -> np.ndarray:
    """The matrix of one who is wrong with chance `slip`, then says each other class alike: float32 (K, K)."""
    others = slip / (classes - 1)
    return (np.full((classes, classes), others) + np.eye(classes) * (1 - slip - others)).astype(np.float32)


def rates_matrix(sensitivity: float, specificity: float) -> np.ndarray:
    """The matrix of two classes: float32 (2, 2), p(1 | 1) = sensitivity, p(0 | 0) = specificity."""
    return np.array([[specificity, 1 - sensitivity], [1 - specificity, sensitivity]], np.float32)


def _require_chance(name: str, value: float) -> None:
    require(0 <= value <= 1, f"{name} is {value}; wanted a chance in [0, 1]", ConfigError)


@dataclass(frozen=True, kw_only=True, eq=False)
class Everywhere:
    """One matrix at all pixels of all cases."""

    name: str
    matrix: np.ndarray  # float (K, K), columns summing to 1

    def __post_init__(self) -> None:
        square = self.matrix.ndim == 2 and self.matrix.shape[0] == self.matrix.shape[1] >= 2
        require(square, f"rater {self.name!r}: matrix has shape {self.matrix.shape}; wanted (K, K)", ConfigError)
        chances = self.matrix.min() >= 0 and np.allclose(self.matrix.sum(axis=0), 1)
        require(chances, f"rater {self.name!r}: wanted a matrix of chances whose columns sum to 1", ConfigError)

    def at(self, truth: np.ndarray, classes: int) -> np.ndarray:
        """The matrix at each pixel: float32 (K, K, H, W), a read-only view."""
        require(len(self.matrix) == classes, f"rater {self.name!r} knows {len(self.matrix)} classes of {classes}")
        matrix = self.matrix.astype(np.float32)[:, :, None, None]
        return np.broadcast_to(matrix, (classes, classes, *truth.shape))


@dataclass(frozen=True, kw_only=True)
class _Ring:
    """One who errs in a ring along the rim of an object, and slips evenly elsewhere."""

    width_px: float = 3.0  # of the ring, between centers of pixels
    chance: float = 0.8  # of a pixel of the ring to be called something else
    slip: float = 0.02  # of being wrong elsewhere

    def __post_init__(self) -> None:
        _require_chance("chance", self.chance)
        _require_chance("slip", self.slip)


@dataclass(frozen=True, kw_only=True)
class Over(_Ring):
    """Calls background in a ring around an object what its nearest pixel is; slips evenly elsewhere."""

    name: str = "over"

    def at(self, truth: np.ndarray, classes: int) -> np.ndarray:
        """The matrices: float32 (K, K, H, W); in the ring, the background's column is another one."""
        from scipy.ndimage import distance_transform_edt

        matrices = _evenly(truth, classes, self.slip)
        if truth.any():
            distance, nearest = distance_transform_edt(truth == 0, return_indices=True)
            ring = (truth == 0) & (distance <= self.width_px)
            called = truth[tuple(nearest)][ring]
            _say(matrices, ring, truth=0, called=called, chance=self.chance)
        return matrices


@dataclass(frozen=True, kw_only=True)
class Under(_Ring):
    """Calls a ring inside the rim of an object background; slips evenly elsewhere."""

    name: str = "under"

    def at(self, truth: np.ndarray, classes: int) -> np.ndarray:
        """The matrices: float32 (K, K, H, W); in the ring, the column of the class there is another one."""
        from scipy.ndimage import distance_transform_edt

        matrices = _evenly(truth, classes, self.slip)
        if not truth.all():
            ring = (truth > 0) & (distance_transform_edt(truth > 0) <= self.width_px)
            for label in np.unique(truth[ring]):
                _say(matrices, ring & (truth == label), truth=label, called=0, chance=self.chance)
        return matrices


@dataclass(frozen=True, kw_only=True)
class Sideways:
    """Slips more from left to right, as one who looks less and less closely; no class is favored."""

    name: str = "sideways"
    left: float = 0.05  # chance of being wrong in the first column
    right: float = 0.4  # in the last one; straight between

    def __post_init__(self) -> None:
        _require_chance("left", self.left)
        _require_chance("right", self.right)

    def at(self, truth: np.ndarray, classes: int) -> np.ndarray:
        """The matrices: float32 (K, K, H, W), equal along each image column."""
        matrices = [even_slips(classes, slip) for slip in np.linspace(self.left, self.right, truth.shape[1])]
        across = np.stack(matrices, axis=-1)[:, :, None]
        return np.broadcast_to(across, (classes, classes, *truth.shape))


@dataclass(frozen=True, kw_only=True)
class Part:
    """Marks one part of an object and nothing else, without a slip: an answer as a whole, as a mode of a distribution.

    The left half ends at the middle of the object's columns, and the right half is the rest; the core lies at least
    `CORE` of the way in from the rim to the innermost pixel.
    """

    name: Literal["whole", "left half", "right half", "core", "nothing"]

    def __post_init__(self) -> None:
        require_choice("name", self.name, ("whole", "left half", "right half", "core", "nothing"))

    def at(self, truth: np.ndarray, classes: int) -> np.ndarray:
        """The matrices: float32 (K, K, H, W); where the part is not, an object is called background."""
        matrices = _evenly(truth, classes, 0.0)
        left_out = (truth > 0) & ~self._marked(truth > 0)
        for label in np.unique(truth[left_out]):
            _say(matrices, left_out & (truth == label), truth=label, called=0, chance=1.0)
        return matrices

    def _marked(self, there: np.ndarray) -> np.ndarray:
        from scipy.ndimage import distance_transform_edt

        if self.name == "nothing" or not there.any():
            return np.zeros_like(there)
        if self.name.endswith("half"):
            columns = np.flatnonzero(there.any(axis=0))
            left = 2 * np.arange(there.shape[1]) <= columns[0] + columns[-1]
            return there & (left if self.name == "left half" else ~left)
        if self.name == "core":
            depth = distance_transform_edt(there)
            return depth >= CORE * depth.max()
        return there


def _evenly(truth: np.ndarray, classes: int, slip: float) -> np.ndarray:
    return np.tile(even_slips(classes, slip)[:, :, None, None], (1, 1, *truth.shape))


def _say(matrices: np.ndarray, ring: np.ndarray, *, truth: int, called: np.ndarray | int, chance: float) -> None:
    """In a ring, give the column of class `truth` the chance to be called otherwise, and leave it right else."""
    rows, columns = np.nonzero(ring)
    matrices[:, truth, rows, columns] = 0
    matrices[truth, truth, rows, columns] = 1 - chance
    matrices[called, truth, rows, columns] = chance


def matrices_at(raters: Sequence[PlantedRater], truth: np.ndarray, classes: int) -> np.ndarray:
    """What each rater does on one truth, uint8 (H, W): float32 (R, K, K, H, W)."""
    return np.stack([rater.at(truth, classes) for rater in raters])


def draw_masks(
    matrices: np.ndarray, truth: np.ndarray, rng: np.random.Generator, *, shared: bool = False
) -> np.ndarray:
    """What raters draw, each pixel on its own given the truth.

    Args:
        matrices: float32 (R, K, K, H, W), from `matrices_at`.
        truth: uint8 (H, W), classes below K.
        rng: one number is drawn for each rater and pixel.
        shared: one number for each pixel serves all raters, so that raters with equal matrices draw the same mask.
    Returns:
        uint8 (R, H, W).
    """
    reached = _columns(matrices, truth).cumsum(axis=1)[:, :-1]
    drawn = rng.random((1 if shared else len(matrices), *truth.shape), np.float32)
    return (drawn[:, None] >= reached).sum(axis=1).astype(np.uint8)


def likeliest_masks(matrices: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The likeliest class at each pixel, the lowest of equal ones; arguments and result as for `draw_masks`."""
    return _columns(matrices, truth).argmax(axis=1).astype(np.uint8)


def _columns(matrices: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return column_of_truth(torch.from_numpy(matrices[None]), torch.tensor(truth)[None])[0].numpy()
