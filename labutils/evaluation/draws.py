"""Where answers come from when scoring: a model, or a reference that every table needs beside it.

A draw is a function of (batch, n, rng) giving probabilities (B, S, K, H, W). A model's draw looks at the images alone;
the references marked as oracles look at the raters too, and say how good or bad a score can be on a dataset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from labutils.consensus.majority import majority, random_rater, soft_vote
from labutils.core.types import Batch
from labutils.data.store import Store
from labutils.metrics.overlap import pairwise_dice
from labutils.models.samplers import SAMPLERS, Sampler

Draw = Callable[[Batch, int, torch.Generator], Tensor]
CUTS = tuple(step / 20 for step in range(1, 20))


def from_model(network: Any, device: torch.device, sampler: str = "model") -> Draw:
    """The draws of a network under one of the rules in `labutils.models.samplers`; only the image is shown to it."""
    return from_sampler(SAMPLERS[sampler](network.to(device).eval()), device)


def from_sampler(source: Sampler, device: torch.device) -> Draw:
    """The draws of anything with ``sample`` whose networks are on `device` already; only the image is shown to it."""

    @torch.no_grad()
    def draw(batch: Batch, n: int, rng: torch.Generator) -> Tensor:
        return source.sample(batch.image.to(device), n, rng).cpu()

    return draw


def _labels_to_probs(labels: Tensor, classes: int) -> Tensor:
    """(B, S, H, W) labels to one-hot (B, S, K, H, W) float32."""
    return functional.one_hot(labels.long(), classes).movedim(-1, 2).float()


def blank(classes: int) -> Draw:
    """Nothing anywhere: what every score must be read against."""

    def draw(batch: Batch, n: int, rng: torch.Generator) -> Tensor:
        shape = (len(batch.image), 1, *batch.image.shape[-2:])
        return _labels_to_probs(torch.zeros(shape, dtype=torch.long), classes).expand(-1, n, -1, -1, -1)

    return draw


def mean_training_mask(train: Store, classes: int) -> Draw:
    """The training cases' average, cut where it serves them best, whatever the image shows.

    The vote fractions are averaged over the training cases; foreground is where the average reaches the cut, of
    `CUTS`, that has the highest mean Dice with the training cases' majorities (ties to the foreground), and its class
    is the foreground class with the highest average.
    """
    batches = [train.batch(np.arange(i, min(i + 256, len(train)))) for i in range(0, len(train), 256)]
    votes = [soft_vote(batch.masks, batch.present, classes).double().sum(dim=0) for batch in batches]
    average = torch.stack(votes).sum(dim=0) / len(train)  # (K, H, W)
    answers = torch.stack([average[0] <= 1 - cut for cut in CUTS])[:, None]  # (cuts, 1, H, W)
    agreed = [majority(batch.masks, batch.present, classes, ties="highest") > 0 for batch in batches]
    scores = sum(pairwise_dice(answers.movedim(1, 0), part[None])[0].sum(dim=1) for part in agreed)
    best = answers[int(torch.as_tensor(scores).argmax()), 0]
    labels = torch.where(best, average[1:].argmax(dim=0) + 1, 0)

    def draw(batch: Batch, n: int, rng: torch.Generator) -> Tensor:
        return _labels_to_probs(labels[None, None], classes).expand(len(batch.image), n, -1, -1, -1)

    return draw


def otsu() -> Draw:
    """Bright against dark by Otsu's threshold of each image (Otsu 1979), two classes."""
    import cv2

    def draw(batch: Batch, n: int, rng: torch.Generator) -> Tensor:
        gray = (batch.image[:, 0].numpy() * 255).round().clip(0, 255).astype(np.uint8)
        found = [cv2.threshold(image, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1] for image in gray]
        return _labels_to_probs(torch.from_numpy(np.stack(found))[:, None], 2).expand(-1, n, -1, -1, -1)

    return draw


def oracle_sampler(classes: int) -> Draw:
    """Oracle: each answer is the mask of a rater drawn at random, with replacement.

    Its expected GED² is the raters' diversity / S (V-statistic). That is a mark to read scores against, not a bound:
    giving each rater equally often scores 0, and the V-statistic, which charges for diversity, is a little lower for
    draws that favor the raters who agree.
    """

    def draw(batch: Batch, n: int, rng: torch.Generator) -> Tensor:
        drawn = [random_rater(batch.masks, batch.present, rng) for _ in range(n)]
        return _labels_to_probs(torch.stack(drawn, dim=1), classes)

    return draw


def rater_majority(classes: int) -> Draw:
    """Oracle: the raters' consensus (ties to the foreground) given n times: the best single answer, without doubt."""

    def draw(batch: Batch, n: int, rng: torch.Generator) -> Tensor:
        labels = majority(batch.masks, batch.present, classes, ties="highest")
        return _labels_to_probs(labels[:, None], classes).expand(-1, n, -1, -1, -1)

    return draw
