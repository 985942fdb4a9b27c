"""Truths to plant raters on: wavy discs like nodules, regions of several classes, and the ink of digits.

Waves keep a shape from being a circle that a network could tell from its size alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from labutils.core.checks import ConfigError, require, require_choice
from labutils.core.runtime import numpy_rng_for
from labutils.data.digit_annotators import embedded_digits

Layout = Literal["nested", "neighbors"]
WAVES = (2, 3, 4, 5)  # bumps around the edge; they share the height at random, each with a phase of its own


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """One wavy disc an image; with more than two classes it is divided."""

    size_px: int = 64
    radius_px: tuple[float, float] = (10.0, 18.0)  # the mean radius is uniform between the two
    wave: float = 0.2  # most that the edge moves in or out, as a share of the radius
    classes: int = 2  # K, the background included
    layout: Layout = "nested"  # K > 2: rings around a core, or neighboring sectors

    def __post_init__(self) -> None:
        require_choice("layout", self.layout, get_args(Layout))
        low, high = self.radius_px
        require(2 <= self.classes <= 256, f"classes is {self.classes}; wanted 2 to 256", ConfigError)
        require(0 <= self.wave < 1, f"wave is {self.wave}; wanted a share in [0, 1)", ConfigError)
        require(0 < low <= high, f"radius_px is {self.radius_px}; wanted 0 < low <= high", ConfigError)
        fits = 2 * high * (1 + self.wave) < self.size_px
        require(fits, f"a wavy disc of radius {high} does not fit {self.size_px} px", ConfigError)


def wavy_shapes(cases: int, config: ShapesConfig, *, seed: int, split: str) -> np.ndarray:
    """Label maps of wavy discs at random places; two splits share no random number.

    Args:
        cases: N, 1 or more; more cases leave the first ones as they were.
        config: sizes, classes and layout.
        seed: another seed gives other shapes.
        split: "train", "validate" or "test".
    Returns:
        uint8 (N, H, W). "nested": class 1 is the outermost ring and K - 1 the core, all of equal width. "neighbors":
        classes 1 to K - 1 are equal sectors that meet in the middle.
    Raises:
        ConfigError: there is no case.
    """
    require(cases >= 1, f"cases is {cases}; wanted 1 or more", ConfigError)
    rngs = (numpy_rng_for(seed, "planted shape", split, number) for number in range(cases))
    return np.stack([_wavy_shape(config, rng) for rng in rngs])


def _wavy_shape(config: ShapesConfig, rng: np.random.Generator) -> np.ndarray:
    radius = rng.uniform(*config.radius_px)
    room = config.radius_px[1] * (1 + config.wave)
    row, column = rng.uniform(room, config.size_px - 1 - room, 2)
    heights, phases = config.wave * rng.dirichlet(np.ones(len(WAVES))), rng.uniform(0, 2 * np.pi, len(WAVES))
    rows, columns = np.mgrid[: config.size_px, : config.size_px]
    angle = np.arctan2(rows - row, columns - column)
    waves = (height * np.sin(n * angle + phase) for n, height, phase in zip(WAVES, heights, phases, strict=True))
    depth = 1 - np.hypot(rows - row, columns - column) / (radius * (1 + sum(waves)))  # 1 in the middle, 0 at the edge
    parts = config.classes - 1
    place = depth if config.layout == "nested" else ((angle + phases[0]) / (2 * np.pi)) % 1
    labels = 1 + np.minimum((place * parts).astype(int), parts - 1)
    return np.where(depth > 0, labels, 0).astype(np.uint8)


def digit_shapes(cases: int, *, seed: int, split: str) -> np.ndarray:
    """The ink of handwritten digits, those of scikit-learn as in `labutils.data.digit_annotators`.

    Args:
        cases: N, at most a third of the digits, so that no digit is in two splits.
        seed: another seed deals other digits to the splits.
        split: "train", "validate" or "test".
    Returns:
        uint8 (N, 28, 28), 0 or 1; more cases leave the first ones as they were.
    Raises:
        ConfigError: another number of cases, or an unknown split.
    """
    truths, splits = embedded_digits()[1], ("train", "validate", "test")
    require_choice("split", split, splits)
    most = len(truths) // len(splits)
    require(1 <= cases <= most, f"cases is {cases}; wanted 1 to {most}", ConfigError)
    order = numpy_rng_for(seed, "planted digits").permutation(len(truths))
    return truths[order[splits.index(split) :: len(splits)][:cases]]
