r"""One confusion matrix per rater, the same at every pixel (Tanno et al. 2019).

Idea: a rater has habits. The clean head says what is there, :math:`p`; rater r says :math:`A_r p` with one matrix
:math:`A_r` for all pixels and images, learned together with the network from the raters' labels alone.

Differences from the paper: it classifies whole images, here pixels; its only loss is the raters' term with a trace
term, which is ``coupled=True, clean="none", likelihood="marginal", trace=...``. By default the clean head learns from a
vote of its own (`labutils.losses.coin_vote`), and the matrices learn beside it from the likelihood of all
raters' labels together: see the chapter on confusion matrices for why.

Shapes: image (B, C, H, W) float32 in [0, 1] to logits (B, K, H, W) and log-matrices (1, R, K, K, 1, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labutils.models.confusion import PerRaterConfig, PerRaterModel, identity_logits

SPEED = 10.0  # a matrix entry moves so many times faster than its parameter: there is one for thousands of pixels


@dataclass(frozen=True, kw_only=True)
class GlobalCMConfig(PerRaterConfig):
    """Settings of the network with one confusion matrix per rater."""


class GlobalMatrices(nn.Module):
    """R matrices that do not look at the image."""

    start: Tensor

    def __init__(self, raters: int, classes: int, diagonal: float) -> None:
        super().__init__()
        self.moved = nn.Parameter(torch.zeros(raters, classes, classes))
        self.register_buffer("start", identity_logits(classes, diagonal), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Log-matrices (1, R, K, K, 1, 1), whatever the features."""
        return torch.log_softmax(self.start + SPEED * self.moved, dim=1)[None, :, :, :, None, None]


class GlobalCM(PerRaterModel):
    """The body, a clean head, and one matrix per rater."""

    config: GlobalCMConfig

    def __init__(self, config: GlobalCMConfig) -> None:
        super().__init__(config)
        self.matrices = GlobalMatrices(config.raters, config.classes, config.start)
