"""Ways to draw several answers from one probability map: the rivals a model with latent variables must beat.

Each takes any model and is itself something with ``sample(image, n, rng)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional


class Sampler(Protocol):
    """Whatever can be evaluated: gives n answers for each image."""

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """Probabilities (B, S, K, H, W) of n answers; the sum over K is 1. `rng` is a CPU generator."""
        ...


class HasCleanHead(Protocol):
    """A model that keeps the truth apart from what raters make of it."""

    def clean(self, image: Tensor) -> Tensor:
        """Probabilities of the truth, (B, K, H, W)."""
        ...


def _gumbel(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    uniform = torch.rand(shape, generator=rng, dtype=torch.float64).clamp(min=torch.finfo(torch.float64).tiny)
    return -torch.log(-torch.log(uniform))


def _mean_map(model: Sampler, image: Tensor, rng: torch.Generator) -> Tensor:
    return model.sample(image, 1, rng)[:, 0].double().clamp(min=1e-12)  # (B, K, H, W)


class FixedMap:
    """One probability map for every image: what a rule does to it can be worked out by hand.

    Args:
        probs: float (K, H, W), summing to 1 over K.
    """

    def __init__(self, probs: Tensor) -> None:
        self.probs = probs

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """The map n times for each image, (B, S, K, H, W), a view; neither image nor `rng` is used."""
        return self.probs[None, None].expand(len(image), n, -1, -1, -1)


class RandomThreshold:
    """One threshold for the whole image, drawn anew for each sample.

    For two classes the foreground of a sample is ``p > u``, u uniform on (0, 1): each pixel is foreground as often as
    its probability says, and the samples of an image are nested. For K classes every sample adds one Gumbel number
    per class to log p, the same at all pixels, and takes the largest; with K = 2 that is the same rule, because the
    difference of two Gumbel numbers is the logit of a uniform one.
    """

    def __init__(self, model: Sampler) -> None:
        self.model = model

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """One-hot answers (B, S, K, H, W), float32."""
        probs = _mean_map(self.model, image, rng)
        classes = probs.shape[1]
        noise = _gumbel((len(probs), n, classes, 1, 1), rng).to(probs.device)
        chosen = (probs.log()[:, None] + noise).argmax(dim=2)
        return functional.one_hot(chosen, classes).movedim(-1, 2).float()


class IndependentPixels:
    """Every pixel drawn on its own: the right frequencies, and no shape at all."""

    def __init__(self, model: Sampler) -> None:
        self.model = model

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """One-hot answers (B, S, K, H, W), float32; one sample at a time, so that memory stays at one map."""
        probs = _mean_map(self.model, image, rng)
        draws = []
        for _ in range(n):
            noise = _gumbel(tuple(probs.shape), rng).to(probs.device)
            chosen = (probs.log() + noise).argmax(dim=1)
            draws.append(functional.one_hot(chosen, probs.shape[1]).movedim(-1, 1).float())
        return torch.stack(draws, dim=1)


class CleanHead:
    """What a confusion-matrix model takes for the truth, given n times: one answer, and no rater's."""

    def __init__(self, model: HasCleanHead) -> None:
        self.model = model

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """The clean map n times for each image, (B, S, K, H, W), a view; `rng` is not used."""
        return self.model.clean(image)[:, None].expand(-1, n, -1, -1, -1)


SAMPLERS: dict[str, Callable[[Any], Sampler]] = {
    "model": lambda model: model,
    "random-threshold": RandomThreshold,
    "independent-pixels": IndependentPixels,
    "clean": CleanHead,
}


def one_answer(model: Any, image: Tensor, rng: torch.Generator) -> Tensor:
    """Probabilities (B, K, H, W) by which a model is followed while it trains: its clean head's, or one sample."""
    return model.clean(image) if hasattr(model, "clean") else model.sample(image, 1, rng)[:, 0]


def rules_for(model: Sampler) -> tuple[str, ...]:
    """The samplers that mean something for a model: one whose answers differ has no single map to cut."""
    if hasattr(model, "clean"):
        return ("model", "clean")
    return ("model",) if getattr(model, "stochastic", False) else ("model", "random-threshold", "independent-pixels")
