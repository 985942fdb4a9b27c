r"""A confusion matrix per rater at every pixel, seen from the image (Zhang et al. 2020).

Idea: raters err where the image tempts them, at rims and thin strokes. A head looks at the last decoder map and gives
each rater a matrix at each pixel; dense, or a low-rank product plus a multiple of the identity for many classes.

Differences from the paper: matrices start at ``config.start`` on the diagonal instead of anywhere; columns are
normalized by one softmax (dense) or one division (low rank); the probabilities are mixed and scored as probabilities,
where the published code takes a second softmax; the trace is the mean over raters, pixels and classes. By default the
clean head learns from a vote of its own, the matrices from the likelihood of all raters' labels together, and the trace
has no weight. The published loss is ``coupled=True, clean="none", likelihood="marginal", trace=...``; under it a matrix
can explain any label from any clean map, and which map is found is left to chance.

Shapes: image (B, C, H, W) float32 in [0, 1] to logits (B, K, H, W) and log-matrices (B, R, K, K, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.core.checks import ConfigError, require
from labutils.models.blocks import ConvBlock, NearZeroConv
from labutils.models.confusion import PerRaterConfig, PerRaterModel, identity_logits


@dataclass(frozen=True, kw_only=True)
class PixelCMConfig(PerRaterConfig):
    """Settings of the network with a confusion matrix per rater and pixel."""

    rank: int = 0  # 0: dense matrices; else the rank of what is added to the identity

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 0 <= self.rank < self.classes
        require(
            fits, f"rank is {self.rank}; wanted 0 (dense) to {self.classes - 1}, one below the classes", ConfigError
        )


class DenseMatrices(nn.Module):
    """Every entry of every matrix from the features."""

    start: Tensor

    def __init__(self, config: PixelCMConfig) -> None:
        super().__init__()
        self.raters, self.classes = config.raters, config.classes
        self.look = ConvBlock(config.width, config.width, convs=2, norm="none")
        self.entries = NearZeroConv(config.width, config.raters * config.classes**2)
        start = identity_logits(config.classes, config.start)
        self.register_buffer("start", start[:, :, None, None], persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, H, W) to log-matrices (B, R, K, K, H, W)."""
        entries = self.entries(self.look(features)).float()
        shape = (len(features), self.raters, self.classes, self.classes, *features.shape[-2:])
        return torch.log_softmax(self.start + entries.view(shape), dim=2)


class LowRankMatrices(nn.Module):
    r"""Matrices :math:`s I + U V` with positive entries, :math:`U` (K, rank), each column divided by its sum."""

    start: Tensor

    def __init__(self, config: PixelCMConfig) -> None:
        super().__init__()
        self.raters, self.classes, self.rank = config.raters, config.classes, config.rank
        self.look = ConvBlock(config.width, config.width, convs=2, norm="none")
        self.entries = NearZeroConv(config.width, config.raters * (2 * config.rank * config.classes + 1))
        # with U V of constant entries c^2 * rank, the diagonal is (s + c^2 rank) / (s + K c^2 rank)
        flat = config.rank * functional.softplus(torch.zeros(())) ** 2
        scale = flat * (config.classes * config.start - 1) / (1 - config.start)
        self.register_buffer("start", torch.log(torch.expm1(scale)), persistent=False)  # softplus of it is s

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, H, W) to log-matrices (B, R, K, K, H, W)."""
        batch, size, rank, classes = len(features), features.shape[-2:], self.rank, self.classes
        entries = self.entries(self.look(features)).float().view(batch, self.raters, -1, *size)
        wide, tall, scale = entries.split([rank * classes, rank * classes, 1], dim=2)
        u = functional.softplus(wide).view(batch, self.raters, classes, rank, *size)
        v = functional.softplus(tall).view(batch, self.raters, rank, classes, *size)
        identity = torch.eye(classes, device=features.device)[:, :, None, None]
        added = functional.softplus(scale + self.start)[:, :, :, None] * identity
        matrices = torch.einsum("brikhw,brkjhw->brijhw", u, v) + added
        return torch.log(matrices) - torch.log(matrices.sum(dim=2, keepdim=True))


class PixelCM(PerRaterModel):
    """The body, a clean head, and a head that gives every rater a matrix at every pixel."""

    config: PixelCMConfig

    def __init__(self, config: PixelCMConfig) -> None:
        super().__init__(config)
        self.matrices = LowRankMatrices(config) if config.rank else DenseMatrices(config)
