"""The encoder and decoder of every 2D network here: settings, layers, and the pass through them.

The encoder halves the resolution while widening the features, the decoder doubles it back, and at each level the
decoder sees the encoder's features of the same resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.core.checks import ConfigError, require
from labutils.models.base import Model
from labutils.models.blocks import ConvBlock, Norm, pad_to_multiple


@dataclass(frozen=True, kw_only=True)
class BodyConfig:
    """Settings of the encoder and decoder."""

    channels: int = 1  # C of the image
    classes: int = 2  # K, the background included
    width: int = 24  # channels of the finest level; each coarser level has twice as many
    levels: int = 3  # resolutions, the finest included
    convs: int = 2  # 3x3 convolutions in a block
    norm: Norm = "batch"
    dropout: float = 0.0  # share of channels dropped after each block while training

    def __post_init__(self) -> None:
        for name in ("channels", "width", "levels", "convs"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; wanted 1 or more", ConfigError)
        require(self.classes >= 2, f"classes is {self.classes}; wanted 2 or more", ConfigError)
        require(self.levels <= 8, f"levels is {self.levels}; wanted 8 at most", ConfigError)
        require(0 <= self.dropout < 1, f"dropout is {self.dropout}; wanted a share in [0, 1)", ConfigError)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, the finest first."""
        return tuple(self.width * 2**level for level in range(self.levels))

    def block(self, inputs: int, outputs: int, convs: int = 0) -> ConvBlock:
        """A block as all levels have it, or with another number of convolutions."""
        return ConvBlock(inputs, outputs, convs=convs or self.convs, norm=self.norm, dropout=self.dropout)


class Levels(nn.ModuleList):
    """An encoder: one block a level, each after the first on a map of half the size."""

    def __init__(self, inputs: int, config: BodyConfig) -> None:
        widths = config.widths
        super().__init__(config.block(i, o) for i, o in zip([inputs, *widths[:-1]], widths, strict=True))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, inputs, H, W), H and W divisible by 2^(levels - 1), to the map of each level, the finest first."""
        maps: list[Tensor] = []
        for block in self:
            x = block(functional.avg_pool2d(x, 2) if maps else x)
            maps.append(x)
        return maps


class Body(Model):
    """A network with the shared encoder and decoder."""

    config: BodyConfig

    def __init__(self, config: BodyConfig) -> None:
        super().__init__(config)
        self.down = Levels(config.channels, config)
        self.up = nn.ModuleList(config.block(fine + coarse, fine) for fine, coarse in pairwise(config.widths))

    def features(self, image: Tensor) -> Tensor:
        """The last decoder map, (B, width, H, W), of an image float32 (B, C, H, W) in [0, 1] of any H and W.

        Raises:
            InputError: the image has other axes, channels or numbers than the network takes.
        """
        height, width = (self.require_image(image)[letter] for letter in "HW")
        x, *skips = reversed(self.down(pad_to_multiple(image, 2 ** (self.config.levels - 1))))
        for block, skip in zip(reversed(self.up), skips, strict=True):
            x = block(torch.cat([skip, functional.interpolate(x, scale_factor=2.0, mode="nearest")], dim=1))
        return x[..., :height, :width]


class BodyModel(Body):
    """A network with the shared encoder and decoder and a 1x1 head that gives logits of the classes."""

    def __init__(self, config: BodyConfig) -> None:
        super().__init__(config)
        self.head = nn.Conv2d(config.width, config.classes, kernel_size=1)
