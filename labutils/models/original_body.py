"""The U-Net of the published confusion-matrix networks, one decoder step of which looks at a zoomed copy.

Its first decoder step doubles the coarsest map, **crops the center of that back** to the size the map had, and puts it
beside the map itself: a zoomed copy out of place, where a finer map was meant. The network is built for one size of
image, because what follows it sees whole maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.core.checks import ConfigError, require
from labutils.models.base import Model


@dataclass(frozen=True, kw_only=True)
class OriginalBodyConfig:
    """Settings of the published encoder and decoder."""

    channels: int = 1  # C of the image
    classes: int = 2  # K, the background included
    size_px: tuple[int, int] = (28, 28)  # H and W of every image
    width: int = 24  # channels of the finest level
    levels: int = 3  # resolutions, the finest included

    def __post_init__(self) -> None:
        for name in ("channels", "width"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; wanted 1 or more", ConfigError)
        require(self.classes >= 2, f"classes is {self.classes}; wanted 2 or more", ConfigError)
        require(2 <= self.levels <= 8, f"levels is {self.levels}; wanted 2 to 8", ConfigError)
        # instance normalization subtracts the mean of a map: of one pixel it would leave nothing
        (height, width), least = self.size_px, 2 ** (self.levels - 1)
        large = min(height, width) >= 1 and max(height, width) > least
        wanted = f"one side above {least} for {self.levels} levels"
        require(large, f"size_px is {height} by {width}; wanted {wanted}", ConfigError)


class DoubleConv(nn.Sequential):
    """Twice a 3x3 convolution, instance normalization and PReLU: (B, inputs, H, W) to (B, outputs, H / stride, ...)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        layers: list[nn.Module] = []
        for channels, step in ((inputs, stride), (outputs, 1)):
            layers += [nn.Conv2d(channels, outputs, 3, step, 1, bias=False), nn.InstanceNorm2d(outputs, affine=True)]
            layers.append(nn.PReLU())
        super().__init__(*layers)


class OriginalBodyModel(Model):
    """A network with the published encoder and decoder and a 1x1 head that gives logits of the classes."""

    config: OriginalBodyConfig

    def __init__(self, config: OriginalBodyConfig) -> None:
        super().__init__(config)
        # the coarsest level is no wider than the one above it, and each decoder step gives what the encoder had there
        widths = [config.width * 2 ** min(level, config.levels - 2) for level in range(config.levels)]
        inputs, outputs = [config.channels, *widths[:-1]], [config.width, *widths[:-1]]
        self.down = nn.ModuleList(
            DoubleConv(i, o, stride=2 if level else 1) for level, (i, o) in enumerate(zip(inputs, widths, strict=True))
        )
        self.up = nn.ModuleList(DoubleConv(2 * i, o) for i, o in zip(widths, outputs, strict=True))
        self.head = nn.Conv2d(config.width, config.classes, kernel_size=1)

    def features(self, image: Tensor) -> Tensor:
        """The last decoder map, (B, width, H, W), of an image float32 (B, C, H, W) in [0, 1].

        Raises:
            InputError: the image has other axes, channels, numbers or another size than the network takes.
        """
        height, width = self.config.size_px
        self.require_image(image, H=height, W=width)
        maps = [image]
        for block in self.down:
            maps.append(block(maps[-1]))
        x = maps[-1]
        for block, skip in zip(reversed(self.up), reversed(maps[1:]), strict=True):
            # the first skip is x itself, so that its enlarged copy loses its rim: the published zoom
            larger = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
            x = block(torch.cat([skip, center_crop(larger, skip.shape[-2:])], dim=1))
        return x


def center_crop(maps: Tensor, size: Sequence[int]) -> Tensor:
    """The middle of (B, C, H', W') that is H x W large; where it cannot be the very middle, a pixel down or right."""
    top, left = ((have - want + 1) // 2 for have, want in zip(maps.shape[-2:], size, strict=True))
    return maps[..., top : top + size[0], left : left + size[1]]
