"""What networks share that hold a latent map at each of several scales: drawing, decoding and recognizing, in order.

From coarse to fine, something is believed of each scale's map given the image and the coarser values, and a value is
chosen: drawn, taken at the mean, or given. The numbers of all scales stand in one row, those of the coarsest first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from labutils.core.checks import InputError, require_draws, require_shape
from labutils.core.types import Batch
from labutils.models.base import Model
from labutils.models.blocks import pad_to_multiple
from labutils.models.latents import Gaussian, Latents

Drawn = Literal["all", "global", "local"]  # every scale; the coarsest alone; the finest alone. The others at their mean
Choose = Callable[[int, Gaussian], Tensor]  # scale and belief to a value (N, numbers of the scale)


class Descent(NamedTuple):
    """How far scales have been passed."""

    features: Tensor  # (N, channels, h, w), what the next belief is read from, or the decoder's map after the last
    beliefs: tuple[Gaussian, ...]  # of each scale passed, coarse to fine, numbers of a scale in one row
    values: tuple[Tensor, ...]  # chosen, (N, numbers of the scale)


class ScalesOutput(NamedTuple):
    """What one pass over an image gives, every value at the prior's mean."""

    logits: Tensor  # (B, K, H, W), before softmax
    z: Tensor  # (B, Z)


class ScalesModel(Model):
    """A network with beliefs at several scales: a prior that sees the image, a posterior that also sees a mask."""

    stochastic = True

    @abstractmethod
    def encode(self, image: Tensor) -> list[Tensor]:
        """Maps of a padded image that the prior's beliefs are read from, the coarsest first."""

    @abstractmethod
    def descend(self, maps: Sequence[Tensor], choose: Choose, scales: int, at: Descent | None = None) -> Descent:
        """The prior's way down from `at`, or from the start, until `scales` values are chosen."""

    @abstractmethod
    def recognize(self, seen: Tensor, choose: Choose) -> Descent:
        """The posterior's way down; it sees the mask, one map a class, and the image: (N, K + C, H, W), padded."""

    @abstractmethod
    def decode(self, maps: Sequence[Tensor], at: Descent) -> Tensor:
        """Logits of the padded image, when all values are chosen."""

    def forward(self, image: Tensor) -> ScalesOutput:
        """The answer where every value is the prior's mean.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
        Raises:
            InputError: the image has other axes, channels or numbers than the network takes.
        """
        maps, size = self._maps(image)
        at = self.descend(maps, at_mean, len(self.config.latents))
        return ScalesOutput(self._logits(maps, at, size), torch.cat(at.values, dim=1))

    def shares(self, maps: Sequence[Tensor]) -> list[int]:
        """How many numbers each scale has."""
        return [latent * map_[0, 0].numel() for latent, map_ in zip(self.config.latents, maps, strict=False)]

    def sample(self, image: Tensor, n: int, rng: torch.Generator, *, drawn: Drawn | Sequence[bool] = "all") -> Tensor:
        """n answers from the prior: probabilities (B, S, K, H, W), summing to 1 over K.

        Args:
            image: float32 (B, C, H, W) in [0, 1]; encoded once, and decoded once down to the first scale that is drawn.
            n: S, one or more.
            rng: a CPU generator.
            drawn: which scales are drawn, True or False for each, the coarsest first, or a name for some of them; the
                others are at the mean of what is believed of them given the coarser ones.
        Raises:
            InputError: an argument is out of range, `drawn` is neither, or there is another number of scales.
        """
        require_draws(n, rng)
        maps, size = self._maps(image)
        descents = self._descents(maps, n, rng, self._which(drawn))
        return torch.stack([torch.softmax(self._logits(maps, at, size).float(), dim=1) for at in descents], dim=1)

    def draw(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """n latent vectors from the prior of each image, (B, S, Z)."""
        require_draws(n, rng)
        maps, _ = self._maps(image)
        descents = self._descents(maps, n, rng, self._which("all"))
        return torch.stack([torch.cat(at.values, dim=1) for at in descents], dim=1)

    def answers(self, image: Tensor, z: Tensor) -> Tensor:
        """The answers that vectors z float32 (B, S, Z) stand for: probabilities (B, S, K, H, W).

        The image is encoded once.

        Raises:
            InputError: an argument has the wrong axes or sizes.
        """
        maps, size = self._maps(image)
        shares = self.shares(maps)
        require_shape("z", z, "BSZ", B=len(image), Z=sum(shares))
        told = []
        for values in z.unbind(dim=1):
            at = self.along(maps, values.split(shares, dim=1))
            told.append(torch.softmax(self._logits(maps, at, size).float(), dim=1))
        return torch.stack(told, dim=1)

    def reconstruct(self, image: Tensor, mask: Tensor) -> Tensor:
        """The answer at the posterior's means: what the values can say of a mask that they have seen.

        Args:
            image: float32 (B, C, H, W) in [0, 1].
            mask: uint8 (B, H, W), class labels below K.
        Returns:
            probabilities (B, K, H, W).
        Raises:
            InputError: a mask holds a class the network does not have, or shapes are wrong.
        """
        sizes = self.require_image(image)
        require_shape("mask", mask, "BHW", **{letter: sizes[letter] for letter in "BHW"})
        self.require_classes(mask)
        z = torch.cat(self.recognized(image, mask, at_mean).values, dim=1)
        return self.answers(image, z[:, None])[:, 0]

    def latents(self, batch: Batch) -> Latents:
        """Prior and posterior for every present mask of a batch; each belief given the posterior's means so far.

        Raises:
            InputError: a mask holds a class the network does not have.
        """
        self.require_classes(batch.masks)
        case, rater = batch.present.nonzero(as_tuple=True)
        recognized = self.recognized(batch.image[case], batch.masks[case, rater], at_mean)
        maps, _ = self._maps(batch.image[case])
        proposed = self.along(maps, recognized.values)
        return Latents(_joined(proposed.beliefs), _joined(recognized.beliefs), tuple(self.shares(maps)))

    def recognized(self, image: Tensor, mask: Tensor, choose: Choose) -> Descent:
        """The posterior of a mask (B, H, W) of an image (B, C, H, W)."""
        return self.recognize(self._padded(self._with(image, mask)), choose)

    def along(self, maps: Sequence[Tensor], values: Sequence[Tensor]) -> Descent:
        """The prior's way down with given values."""
        return self.descend(maps, lambda scale, _: values[scale], len(values))

    def _with(self, image: Tensor, mask: Tensor) -> Tensor:
        one_hot = functional.one_hot(mask.long(), self.config.classes).movedim(-1, 1).to(image.dtype)
        return torch.cat([one_hot, image], dim=1)

    def _padded(self, image: Tensor) -> Tensor:
        return pad_to_multiple(image, 2 ** (self.config.levels - 1))

    def _maps(self, image: Tensor) -> tuple[list[Tensor], tuple[int, int]]:
        """The prior's maps of an image, and the image's size."""
        height, width = (self.require_image(image)[letter] for letter in "HW")
        return self.encode(self._padded(image)), (height, width)

    def _logits(self, maps: Sequence[Tensor], at: Descent, size: tuple[int, int]) -> Tensor:
        return self.decode(maps, at)[..., : size[0], : size[1]]

    def _which(self, drawn: Drawn | Sequence[bool]) -> tuple[bool, ...]:
        scales = len(self.config.latents)
        named = {"all": range(scales), "global": (0,), "local": (scales - 1,)}
        if isinstance(drawn, str) and drawn in named:
            return tuple(scale in named[drawn] for scale in range(scales))
        if isinstance(drawn, Sequence) and len(drawn) == scales and all(isinstance(one, bool) for one in drawn):
            return tuple(map(bool, drawn))
        wanted = f"one of 'all', 'global', 'local', or True or False for each of {scales} scales"
        raise InputError(f"drawn is {drawn!r}; wanted {wanted}")

    def _descents(self, maps: Sequence[Tensor], n: int, rng: torch.Generator, drawn: tuple[bool, ...]) -> list[Descent]:
        """n ways down; what lies above the first scale that is drawn they share."""
        scales = len(drawn)
        shared = drawn.index(True) if any(drawn) else scales
        start = self.descend(maps, at_mean, shared)

        def choose(scale: int, belief: Gaussian) -> Tensor:
            return belief.draw(1, rng)[:, 0] if drawn[scale] else belief.mean

        return [self.descend(maps, choose, scales, start) for _ in range(n)]


def at_mean(_scale: int, belief: Gaussian) -> Tensor:
    """The mean of what is believed."""
    return belief.mean


def _joined(beliefs: Sequence[Gaussian]) -> Gaussian:
    """The beliefs of all scales in one row."""
    return Gaussian(*(torch.cat(parts, dim=1) for parts in zip(*beliefs, strict=True)))
