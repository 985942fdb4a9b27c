"""The encoder and decoder of every 2D network here: settings, layers, and the pass through them.

The encoder halves the resolution while widening the features, the decoder doubles it back, and at each level the
decoder sees the encoder's features of the same resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.core.checks import ConfigError, require, require_shape
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


class BodyModel(Model):
    """A network with the shared encoder and decoder and a 1x1 head that gives logits of the classes."""

    def __init__(self, config: BodyConfig) -> None:
        super().__init__(config)
        widths = [config.width * 2**level for level in range(config.levels)]
        inputs = [config.channels, *widths[:-1]]
        block = partial(ConvBlock, convs=config.convs, norm=config.norm, dropout=config.dropout)
        self.down = nn.ModuleList(block(i, o) for i, o in zip(inputs, widths, strict=True))
        self.up = nn.ModuleList(block(fine + coarse, fine) for fine, coarse in pairwise(widths))
        self.head = nn.Conv2d(widths[0], config.classes, kernel_size=1)

    def features(self, image: Tensor) -> Tensor:
        """The last decoder map, (B, width, H, W), of an image float32 (B, C, H, W) in [0, 1] of any H and W.

        Raises:
            InputError: the image has other axes or another number of channels than the network.
        """
        height, width = (require_shape("image", image, "BCHW", C=self.config.channels)[a] for a in "HW")
        x = pad_to_multiple(image, 2 ** (self.config.levels - 1))
        skips = []
        for level, block in enumerate(self.down):
            x = block(functional.avg_pool2d(x, 2) if level else x)
            skips.append(x)
        x = skips.pop()
        for block, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = block(torch.cat([skip, functional.interpolate(x, scale_factor=2.0, mode="nearest")], dim=1))
        return x[..., :height, :width]
