"""GED, Hungarian IoU and QUBIQ Dice against loops over pairs and thresholds, the way public code computes them.

The peers are written here after that way: one call or one Boolean expression per pair of masks. Masks are noisy discs
in crops of 64 x 64 pixels, 155 images, four raters; neither the peers' cost nor ours depends on what is drawn.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from labutils.core.runtime import rng_for
from labutils.metrics.disagreement import ged_squared, hungarian_iou
from labutils.metrics.qubiq import thresholded_dice
from tests.bench.timing import Bench

IMAGES, SAMPLES, RATERS, SIZE = 155, 100, 4, 64
PEER_PAIRS = 40  # scikit-learn is timed on this many of the pairs of one image
LOOP_IMAGES = 2  # the loops over pairs are timed on this many images


@cache
def discs(cases: int, masks: int, size: int, purpose: str) -> Tensor:
    """Discs of varying center and radius with one pixel in fifty flipped: bool (cases, masks, size, size)."""
    rng = rng_for(0, "bench", purpose)
    rows = torch.arange(size)[:, None]
    center = size / 2 + size / 16 * torch.randn(cases, masks, 2, 1, 1, generator=rng)
    radius = size / 4 + size / 16 * torch.randn(cases, masks, 1, 1, generator=rng)
    inside = (rows - center[:, :, 0]) ** 2 + (rows.T - center[:, :, 1]) ** 2 < radius**2
    return inside ^ (torch.rand(inside.shape, generator=rng) < 0.02)


def loop_distance(a: np.ndarray, b: np.ndarray) -> float:
    """1 - IoU of one pair of masks."""
    union = np.logical_or(a, b).sum()
    return 1 - np.logical_and(a, b).sum() / union if union else 0.0


def loop_ged(samples: np.ndarray, raters: np.ndarray) -> float:
    """GED squared of one case, a call per ordered pair."""
    cross = np.mean([[loop_distance(s, y) for y in raters] for s in samples])
    within_samples = np.mean([[loop_distance(s, t) for t in samples] for s in samples])
    within_raters = np.mean([[loop_distance(y, z) for z in raters] for y in raters])
    return 2 * cross - within_samples - within_raters


def loop_hungarian(samples: np.ndarray, raters: np.ndarray) -> float:
    """Hungarian-matched IoU of one case with as many samples as raters, a call per pair."""
    from scipy.optimize import linear_sum_assignment

    cost = np.array([[loop_distance(s, y) for y in raters] for s in samples])
    return 1 - cost[linear_sum_assignment(cost)].mean()


def loop_qubiq(prediction: np.ndarray, raters: np.ndarray) -> list[float]:
    """Dice at thresholds 0.1 to 0.9 of one case, one threshold after the other."""
    votes, scores = raters.sum(axis=0), []
    for t in range(1, 10):
        found, truth = prediction >= t / 10, 10 * votes >= t * len(raters)
        total = found.sum() + truth.sum()
        scores.append(2 * np.logical_and(found, truth).sum() / total if total else 1.0)
    return scores


def sklearn_pairs() -> None:
    """`PEER_PAIRS` pairs of one image through scikit-learn."""
    from sklearn.metrics import jaccard_score

    samples = discs(IMAGES, SAMPLES, SIZE, "samples")[0].numpy().reshape(SAMPLES, -1)
    for i in range(PEER_PAIRS):
        1 - jaccard_score(samples[i], samples[i + 1], average="micro")


@cache
def ged_input() -> tuple[Tensor, Tensor]:
    """Samples and raters of the whole test set."""
    return discs(IMAGES, SAMPLES, SIZE, "samples"), discs(IMAGES, RATERS, SIZE, "raters")


@cache
def hungarian_input() -> tuple[Tensor, Tensor]:
    """Sixteen samples and sixteen raters an image."""
    return discs(IMAGES, 16, SIZE, "samples"), discs(IMAGES, 16, SIZE, "sixteen raters")


@cache
def qubiq_input() -> tuple[Tensor, Tensor]:
    """One map of 256 x 256 in steps of 1/1000, where rounding cannot decide a threshold, and seven raters."""
    raters = discs(1, 7, 256, "qubiq")
    noise = torch.randint(0, 301, (1, 256, 256), generator=rng_for(0, "bench", "noise"))
    return (700 * raters.float().mean(dim=1) + noise).round() / 1000, raters


def ged_agrees() -> None:
    samples, raters = (stack[:LOOP_IMAGES] for stack in ged_input())
    loop = [loop_ged(s, y) for s, y in zip(samples.numpy(), raters.numpy(), strict=True)]
    np.testing.assert_allclose(ged_squared(samples, raters), loop, rtol=0, atol=1e-12)


def hungarian_agrees() -> None:
    samples, raters = (stack[:LOOP_IMAGES] for stack in hungarian_input())
    loop = [loop_hungarian(s, y) for s, y in zip(samples.numpy(), raters.numpy(), strict=True)]
    np.testing.assert_allclose(hungarian_iou(samples, raters), loop, rtol=0, atol=1e-12)


def qubiq_agrees() -> None:
    prediction, raters = qubiq_input()
    np.testing.assert_array_equal(
        thresholded_dice(prediction, raters)[0], loop_qubiq(prediction[0].numpy(), raters[0].numpy())
    )


def benches() -> list[Bench]:
    """The rows of the metrics room."""
    pairs = IMAGES * (SAMPLES**2 + SAMPLES * RATERS + RATERS**2)
    whole = f"{IMAGES} images x {SAMPLES} samples x {RATERS} raters"

    def loop(function, inputs):
        return lambda: [
            function(s.numpy(), y.numpy()) for s, y in zip(*(i[:LOOP_IMAGES] for i in inputs()), strict=True)
        ]

    return [
        Bench(
            name=f"GED2, {whole}",
            ours=lambda: ged_squared(*ged_input()),
            peer=sklearn_pairs,
            peer_name="scikit-learn jaccard_score per pair",
            at_most=1 / 5000,
            peer_share=PEER_PAIRS / pairs,
            check=ged_agrees,
        ),
        Bench(
            name=f"GED2, {whole}",
            ours=lambda: ged_squared(*ged_input()),
            peer=loop(loop_ged, ged_input),
            peer_name="NumPy loop over pairs",
            at_most=1 / 40,
            peer_share=LOOP_IMAGES / IMAGES,
            check=ged_agrees,
        ),
        Bench(
            name=f"Hungarian IoU, {IMAGES} images x 16 x 16",
            ours=lambda: hungarian_iou(*hungarian_input()),
            peer=loop(loop_hungarian, hungarian_input),
            peer_name="NumPy loop over pairs",
            at_most=0.25,
            peer_share=LOOP_IMAGES / IMAGES,
            check=hungarian_agrees,
        ),
        Bench(
            name="QUBIQ Dice, 9 thresholds, 256 x 256",
            ours=lambda: thresholded_dice(*qubiq_input()),
            peer=lambda: loop_qubiq(*(stack[0].numpy() for stack in qubiq_input())),
            peer_name="NumPy loop over thresholds",
            at_most=0.5,
            check=qubiq_agrees,
        ),
    ]
