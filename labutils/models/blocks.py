"""The layers every network here is made of.

Networks upsample by nearest neighbor, whose gradient is deterministic on a GPU, but where they follow their paper.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["batch", "group", "none"]


def normalization(kind: Norm, channels: int) -> nn.Module:
    """Batch normalization, group normalization with up to 8 groups, or nothing, for maps (B, channels, H, W)."""
    if kind == "batch":
        return AcrossPixels(channels)
    if kind == "group":
        groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
        return nn.GroupNorm(groups, channels)
    return nn.Identity()


class ConvBlock(nn.Module):
    """`convs` times 3x3 convolution, normalization, ReLU; then dropout of whole channels.

    Maps (B, inputs, H, W) to (B, outputs, H, W).
    """

    def __init__(self, inputs: int, outputs: int, *, convs: int, norm: Norm, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(convs):
            conv = nn.Conv2d(inputs if i == 0 else outputs, outputs, kernel_size=3, padding=1, bias=norm == "none")
            layers += [conv, normalization(norm, outputs), nn.ReLU(inplace=True)]
        if dropout:
            layers.append(nn.Dropout2d(dropout))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W)."""
        return self.layers(x)


class NearZeroConv(nn.Conv2d):
    """1x1 convolution whose weights start at a hundredth of the usual size: what it is added to leads at first."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=1)


class OrthogonalConv(nn.Conv2d):
    """Convolution whose weights start orthogonal, which keeps sums of many layers without normalization in bounds."""


class AcrossBatch(nn.BatchNorm1d):
    """Batch normalization of one vector per image, (B, C) to (B, C); of a single image, by the running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """Each number's mean over the batch becomes 0 and its standard deviation 1, before scale and shift."""
        return super().forward(x) if len(x) > 1 else _by_running(self, x)


class AcrossPixels(nn.BatchNorm2d):
    """Batch normalization of maps, (B, C, H, W) to the same; of a single pixel, by the running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """Each channel's mean over batch and pixels becomes 0 and its deviation 1, before scale and shift."""
        return super().forward(x) if x.numel() > x.shape[1] else _by_running(self, x)


def _by_running(norm: AcrossBatch | AcrossPixels, x: Tensor) -> Tensor:
    """As in evaluation: one value a channel has no deviation of its own."""
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until H and W are multiples of `multiple`: (B, C, H, W) to (B, C, H', W')."""
    height, width = image.shape[-2:]
    extra = (0, -width % multiple, 0, -height % multiple)
    return functional.pad(image, extra, mode="replicate") if any(extra) else image


def initialize(network: nn.Module, rng: torch.Generator) -> None:
    """Draw every weight anew from `rng`: He normal for convolutions, 0 for biases, 1 and 0 for normalizations.

    Embeddings are standard normal. A `NearZeroConv` gets a hundredth of that. An `OrthogonalConv` is orthogonal, its
    biases normal with deviation 0.001, cut at two of these.
    """
    for module in network.modules():
        if isinstance(module, OrthogonalConv):
            nn.init.orthogonal_(module.weight, generator=rng)
            if module.bias is not None:
                nn.init.trunc_normal_(module.bias, std=1e-3, a=-2e-3, b=2e-3, generator=rng)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
            if isinstance(module, NearZeroConv):
                with torch.no_grad():
                    module.weight.mul_(0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, generator=rng)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
