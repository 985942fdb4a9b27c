"""What every model here can do, so that one loop trains and one evaluation scores them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from labutils.core.checks import InputError, require, require_shape
from labutils.core.types import Batch


class Terms(Protocol):
    """Named loss terms, a NamedTuple of scalar tensors; ``total`` is their documented sum."""

    @property
    def total(self) -> Tensor:
        """What is minimized."""

    def _asdict(self) -> dict[str, Tensor]: ...


class Model(nn.Module, ABC):
    """A network with a frozen configuration; between calls it keeps nothing but its weights and buffers.

    ``forward(image)`` gives a NamedTuple of its own.
    """

    stochastic: ClassVar[bool] = False  # whether its answers to one image differ
    config: Any  # frozen dataclass
    card: dict[str, Any]  # what the weights file says of itself; empty for a network that was not loaded

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.card = {}

    def stages(self) -> dict[str, nn.Module]:
        """The parts that a drawing of the network shows, by their names in it; together they hold every parameter.

        These are the network's own parts, the members of a list one by one. A network whose parts are whole networks
        says here what lies in them.
        """
        lists = {name: part for name, part in self.named_children() if isinstance(part, nn.ModuleList)}
        members = {f"{name}.{i}": part for name, parts in lists.items() for i, part in enumerate(parts)}
        return {name: part for name, part in self.named_children() if name not in lists} | members

    def whole(self, image: Tensor) -> Any:
        """A NamedTuple from a pass through every stage, for a drawing; networks with parts that only training uses
        run them here as well."""
        return self(image)

    def require_image(self, image: Tensor, **sizes: int) -> dict[str, int]:
        """The size of each letter of an image, where its axes, channels and numbers are those the network takes.

        Args:
            image: float32 (B, C, H, W) in [0, 1], or of half the width under autocast.
            sizes: sizes that some letters must have, e.g. ``H=28``.
        Raises:
            InputError: the image has other axes, channels or sizes, or its numbers are integers, bool or float64.
        """
        if image.dtype not in (torch.float32, torch.bfloat16, torch.float16):
            raise InputError(f"image is of type {image.dtype}; wanted torch.float32")
        return require_shape("image", image, "BCHW", C=self.config.channels, **sizes)

    def require_classes(self, masks: Tensor) -> None:
        """Refuse masks that hold a class the network does not have."""
        lowest, highest = torch.stack(masks.aminmax()).tolist() if masks.numel() else (0, 0)
        wrong, classes = lowest if lowest < 0 else highest, self.config.classes
        require(0 <= wrong < classes, f"masks hold class {wrong}; the network has {classes} classes")

    @abstractmethod
    def sample(self, image: Tensor, n: int, rng: torch.Generator) -> Tensor:
        """n answers for each image, the image encoded once.

        Args:
            image: float32 (B, C, [D,] H, W) in [0, 1].
            n: S, one or more.
            rng: a CPU generator; the draws are moved to the image's device.
        Returns:
            float32 (B, S, K, [D,] H, W), probabilities; the sum over K is 1.
        Raises:
            InputError: the image does not fit the network, n is below 1, or `rng` is no generator.
        """

    @abstractmethod
    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> Terms:
        """The named loss terms of a batch at a step of training; chance comes from `rng` alone."""
