"""Ways to draw several answers from networks that give one: the rivals a model with latent variables must beat.

Each takes any model and is itself something with ``sample(image, n, rng)``, which raises an InputError if n is below 1
or `rng` no generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.core.checks import require, require_draws
from labutils.core.runtime import layer_noise

ANSWERS = 16  # drawn where a model is followed while it trains


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
        require_draws(n, rng)
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
        require_draws(n, rng)
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
        require_draws(n, rng)
        probs = _mean_map(self.model, image, rng)
        draws = []
        for _ in range(n):
            noise = _gumbel(tuple(probs.shape), rng).to(probs.device)
            chosen = (probs.log() + noise).argmax(dim=1)
            draws.append(functional.one_hot(chosen, probs.shape[1]).movedim(-1, 1).float())
        return torch.stack(draws, dim=1)


class Symmetric:
    """Each answer is to the image mirrored or turned, and is mirrored or turned back (test-time augmentation).

    Which of the eight symmetries of a square it is, of a rectangle which of its four, is drawn anew for each answer. A
    network that answers all of them alike gives one answer.
    """

    def __init__(self, model: Sampler) -> None:
        self.model = model

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """Probabilities (B, S, K, H, W); the image is encoded once for each symmetry that was drawn."""
        require_draws(n, rng)
        turns = (0, 1, 2, 3) if image.shape[-1] == image.shape[-2] else (0, 2)
        ways = [(turn, mirror) for turn in turns for mirror in (False, True)]
        which = torch.randint(len(ways), (len(image), n), generator=rng)

        def answer(way: int, count: int) -> Tensor:
            return _turned_back(self.model.sample(_turned(image, *ways[way]), count, rng), *ways[way])

        return _by_way(which, answer)


class Dropped:
    """Each answer is that of a network some of whose channels are dropped, as while it was trained (MC dropout).

    Raises:
        InputError: the network drops nothing.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.layers = [part for part in model.modules() if isinstance(part, nn.Dropout2d) and part.p > 0]
        require(
            self.layers, f"{type(model).__name__} drops no channels; wanted a network that was trained with dropout"
        )

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """Probabilities (B, S, K, H, W); the image is encoded n times. Global chance is left as it was."""
        require_draws(n, rng)
        for layer in self.layers:
            layer.train()
        try:
            with layer_noise(image.device, rng):
                answers = [self.model.sample(image, 1, rng)[:, 0] for _ in range(n)]
        finally:
            for layer in self.layers:
                layer.eval()
        return torch.stack(answers, dim=1)


class Ensemble:
    """Each answer is that of one of several networks, all as often as can be (deep ensemble).

    Args:
        members: one or more, which answer images of the same kind by the same classes.
    """

    def __init__(self, members: Sequence[Sampler]) -> None:
        require(len(members) > 0, "an ensemble has no members; wanted one or more")
        self.members = tuple(members)

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """Probabilities (B, S, K, H, W); the image is encoded once by each member that answers."""
        require_draws(n, rng)
        rounds = -(-n // len(self.members))
        orders = [
            torch.cat([torch.randperm(len(self.members), generator=rng) for _ in range(rounds)])[:n] for _ in image
        ]
        return _by_way(torch.stack(orders), lambda member, count: self.members[member].sample(image, count, rng))


def _by_way(which: Tensor, answer: Callable[[int, int], Tensor]) -> Tensor:
    """Answers (B, S, K, H, W), each given in the way that `which` (B, S) names.

    `answer` gives some answers of a way, (B, count, K, H, W): as many as the image takes that takes most, each once.
    """
    drawn: Tensor | None = None
    for way in which.unique().tolist():
        here = which == way
        probs = answer(way, int(here.sum(dim=1).max()))
        if drawn is None:
            drawn = probs.new_empty(*which.shape, *probs.shape[2:])
        image, place = here.nonzero(as_tuple=True)
        turn = (here.cumsum(dim=1) - 1)[here]  # which of a way's answers to this image
        drawn[image, place] = probs[image, turn]
    assert drawn is not None  # n is one or more
    return drawn


def _turned(image: Tensor, turn: int, mirror: bool) -> Tensor:
    return torch.rot90(image.flip(-1) if mirror else image, turn, (-2, -1))


def _turned_back(probs: Tensor, turn: int, mirror: bool) -> Tensor:
    back = torch.rot90(probs, -turn, (-2, -1))
    return back.flip(-1) if mirror else back


class CleanHead:
    """What a confusion-matrix model takes for the truth, given n times: one answer, and no rater's."""

    def __init__(self, model: HasCleanHead) -> None:
        self.model = model

    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """The clean map n times for each image, (B, S, K, H, W), a view; `rng` is not used."""
        require_draws(n, rng)
        return self.model.clean(image)[:, None].expand(-1, n, -1, -1, -1)


SAMPLERS: dict[str, Callable[[Any], Sampler]] = {
    "model": lambda model: model,
    "random-threshold": RandomThreshold,
    "independent-pixels": IndependentPixels,
    "clean": CleanHead,
    "symmetries": Symmetric,
    "dropout": Dropped,
}


def one_answer(model: Any, image: Tensor, rng: torch.Generator) -> Tensor:
    """Probabilities (B, K, H, W) by which a model is followed while it trains.

    They are its clean head's, or the mean of `ANSWERS` samples where they differ, as a single one of them is chance.
    """
    if hasattr(model, "clean"):
        return model.clean(image)
    return model.sample(image, ANSWERS if model.stochastic else 1, rng).mean(dim=1)


def rules_for(model: Sampler) -> tuple[str, ...]:
    """The samplers that mean something for a model: one whose answers differ has no single map to cut."""
    if hasattr(model, "clean"):
        return ("model", "clean")
    if getattr(model, "stochastic", False):
        return ("model",)
    dropped = ("dropout",) if getattr(getattr(model, "config", None), "dropout", 0) else ()
    return ("model", "random-threshold", "independent-pixels", "symmetries", *dropped)
