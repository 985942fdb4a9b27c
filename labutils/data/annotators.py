"""Simulated annotators: what each does to a true mask is known exactly, so learning from them can be checked.

A good annotator draws the truth. An over-segmenting one thickens it by two strokes of a 2 x 2 brush, and an
under-segmenting one thins it likewise. A wrong one draws something of another shape and place. A blank one judged the
case and drew nothing. A noisy one draws the truth and errs at pixels chosen by lot.

Source of all but the last: the preparation of MNIST published with the code of stochastic confusion matrices
(github.com/rCampSemp/learn-vae-noisy-label). Good, over and under are equal to its prepared files to the bit; wrong
follows the same steps from the true mask, where the original may have started from the gray digit, and differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import cv2
import numpy as np

from labutils.core.checks import InputError, require, require_choice

Noise = Literal["clip", "wrap"]
BRUSH = np.ones((2, 2), np.uint8)
STROKES = 2  # how often the brush is applied
TURN_DEG = 135.0  # of the wrong annotator's mask about the center of the image, counter-clockwise
WRONG_STROKES = 4
WRONG_CUT = 50  # of 255
FLIPPED = 0.1  # chance of a pixel to be wrong in the noisy annotator's mask
NOISE_GRAY = (2.0, 5.0)  # mean and standard deviation, gray levels of 0 to 255, before halving


def good(truth: np.ndarray) -> np.ndarray:
    """The truth itself."""
    return truth.copy()


def over(truth: np.ndarray) -> np.ndarray:
    """The truth dilated twice with a 2 x 2 brush."""
    return cv2.dilate(truth, BRUSH, iterations=STROKES)


def under(truth: np.ndarray) -> np.ndarray:
    """The truth eroded twice with a 2 x 2 brush; thin strokes vanish, so it can be empty."""
    return cv2.erode(truth, BRUSH, iterations=STROKES)


def wrong(truth: np.ndarray) -> np.ndarray:
    """The truth turned by 135 degrees, its fine detail (top-hat) spread with a 2 x 2 brush, twice over."""
    rows, columns = truth.shape
    turn = cv2.getRotationMatrix2D((columns // 2, rows // 2), TURN_DEG, 1.0)
    gray = cv2.warpAffine(truth * np.uint8(255), turn, (columns, rows))
    for _ in range(2):
        gray = cv2.morphologyEx(gray, cv2.MORPH_TOPHAT, BRUSH)
        gray = cv2.dilate(gray, BRUSH, iterations=WRONG_STROKES)
    return (gray > WRONG_CUT).astype(np.uint8)


def blank(truth: np.ndarray) -> np.ndarray:
    """Nothing: an annotator who judged the case and saw no object."""
    return np.zeros_like(truth)


def noisy(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The truth with each pixel, inside and outside, turned over with a chance of 1 in 10."""
    return truth ^ (rng.random(truth.shape) < FLIPPED).astype(np.uint8)


ANNOTATORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "good": good,
    "over": over,
    "under": under,
    "wrong": wrong,
    "blank": blank,
}
BY_CHANCE: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {"noisy": noisy}


def annotate(truth: np.ndarray, names: Sequence[str], rng: np.random.Generator | None = None) -> np.ndarray:
    """What simulated annotators draw of one true mask.

    Args:
        truth: uint8 (H, W), 0 or 1.
        names: keys of `ANNOTATORS` or `BY_CHANCE`, one a rater; rater k is the same annotator in every case.
        rng: needed by annotators of `BY_CHANCE`, who draw one number a pixel.
    Returns:
        uint8 (R, H, W), 0 or 1.
    Raises:
        InputError: the truth has another type, shape or value, no annotator is named, one is unknown, or one draws by
            chance and there is no rng.
    """
    fits = truth.dtype == np.uint8 and truth.ndim == 2 and 0 not in truth.shape and truth.max() <= 1
    require(fits, f"truth is {truth.dtype} {truth.shape}; wanted uint8 (H, W) of 0 and 1")
    require(len(names) > 0, "no annotator is named; wanted one or more")
    for name in names:
        require_choice("annotator", name, (*ANNOTATORS, *BY_CHANCE), InputError)
    return np.stack([ANNOTATORS[name](truth) if name in ANNOTATORS else _by_chance(name, truth, rng) for name in names])


def _by_chance(name: str, truth: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    if rng is None:
        raise InputError(f"annotator {name!r} draws by chance; wanted an rng")
    return BY_CHANCE[name](truth, rng)


def add_noise(gray: np.ndarray, rng: np.random.Generator, kind: Noise = "clip") -> np.ndarray:
    """A gray image with half of a normal noise of mean 2 and deviation 5 gray levels added, as values in [0, 1].

    Args:
        gray: uint8 (H, W).
        rng: draws one number a pixel.
        kind: "clip" sets negative noise to 0. "wrap" is what the published files hold: there negative noise was cast
            to 8 bits without a sign, which turned a gray level of -1 into 255, so that more than a quarter of the
            background became salt. Use it to compare with them.
    Returns:
        float32 (H, W) in [0, 1].
    Raises:
        InputError: the image has another type or shape, or `kind` is unknown.
    """
    require(gray.dtype == np.uint8 and gray.ndim == 2, f"image is {gray.dtype} {gray.shape}; wanted uint8 (H, W)")
    require_choice("noise", kind, get_args(Noise), InputError)
    levels = np.trunc(rng.normal(*NOISE_GRAY, gray.shape))
    levels = np.clip(levels, 0, 255) if kind == "clip" else np.mod(levels, 256)
    return (np.minimum(gray + 0.5 * levels, 255) / 255).astype(np.float32)
