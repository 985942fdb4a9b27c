"""Typed errors, and guards that say what was wrong, where, and what was wanted.

Every error a person can cause derives from `LabutilsError`; its text is one sentence that can be shown as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    Array = np.ndarray | Tensor


class LabutilsError(Exception):
    """Something the caller gave cannot be used; the text is one clear sentence."""


class InputError(LabutilsError, ValueError):
    """An argument has the wrong shape, type or values."""


class ConfigError(LabutilsError, ValueError):
    """A setting is unknown, of the wrong type, or outside its range."""


class DataError(LabutilsError, ValueError):
    """A data file or folder is missing, damaged or not what its name says."""


class WeightsError(LabutilsError, ValueError):
    """A checkpoint or weights file is missing, damaged, or belongs to another model."""


class NumericsError(LabutilsError, ArithmeticError):
    """A loss or gradient is not finite; the text names the term and the step."""


def require(condition: object, message: str, error: type[LabutilsError] = InputError) -> None:
    """Raise `error(message)` unless `condition` holds."""
    if not condition:
        raise error(message)


def require_shape(name: str, array: Array, letters: str, **sizes: int) -> dict[str, int]:
    """Match an array's shape against shape letters and return the size of each letter.

    Args:
        name: what to call the array in the message.
        array: any array with a shape.
        letters: one letter an axis, e.g. ``"BRHW"``; ``"[D]"`` marks an optional axis, as in ``"BR[D]HW"``.
        sizes: sizes some letters must have, e.g. ``B=4``.
    Raises:
        InputError: the number of axes, or a given size, differs.
    """
    shape = tuple(int(n) for n in array.shape)
    full, short = letters.replace("[", "").replace("]", ""), letters.replace("[D]", "")
    axes = full if len(shape) == len(full) else short
    if len(shape) != len(axes):
        raise InputError(f"{name} has shape {shape}; wanted axes ({letters})")
    found = dict(zip(axes, shape, strict=True))
    for letter, size in sizes.items():
        if found.get(letter, size) != size:
            raise InputError(f"{name} has shape {shape}; wanted {letter} = {size} on axes ({axes})")
    return found


def require_same_shape(first: str, a: Array, second: str, b: Array) -> None:
    """Refuse two arrays whose shapes differ."""
    if tuple(a.shape) != tuple(b.shape):
        raise InputError(f"{first} has shape {tuple(a.shape)} and {second} {tuple(b.shape)}; they must be equal")


def require_finite(name: str, array: Array) -> None:
    """Refuse NaN and infinity."""
    import torch

    finite = torch.isfinite(torch.as_tensor(array))
    if not bool(finite.all()):
        raise InputError(f"{name} has {int((~finite).sum())} values that are NaN or infinite")


def require_unit_range(name: str, array: Array) -> None:
    """Refuse values outside [0, 1], and NaN: intensities and probabilities."""
    require_finite(name, array)
    if array.size if not hasattr(array, "numel") else array.numel():
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 1 + 1e-6:
            raise InputError(f"{name} runs from {low:.4g} to {high:.4g}; wanted values in [0, 1]")


def require_draws(n: int, rng: torch.Generator) -> None:
    """Refuse to draw fewer than one sample, and to draw from anything but a generator of random numbers.

    Without a generator torch draws from the one that all of the process shares.

    Args:
        n: S, how many samples are asked for.
        rng: a torch.Generator.
    Raises:
        InputError: either is another.
    """
    import torch

    require(n >= 1, f"n is {n}; wanted one sample or more")
    require(isinstance(rng, torch.Generator), f"rng is of type {type(rng).__name__}; wanted a torch.Generator")


def require_choice(
    name: str, value: object, choices: Sequence[object], error: type[LabutilsError] = ConfigError
) -> None:
    """Refuse a value that is not one of `choices`."""
    if value not in choices:
        raise error(f"{name} is {value!r}; wanted one of {', '.join(map(repr, choices))}")
