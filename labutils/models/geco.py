r"""A constraint in the place of a weight (GECO, Rezende and Viola 2018): reconstruct this well, and then be brief.

The KL is minimized under the constraint that the reconstruction loss is at most a target (arXiv 1810.00597). With a
multiplier :math:`\lambda` the loss is :math:`\lambda\,(C - \text{target}) + \mathrm{KL}`, lowered over the weights and
raised over :math:`\lambda = \operatorname{softplus}(w)^2`: as long as C is above the target lambda grows. C is a moving
average, so that one batch does not rule; its gradient is that of the batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Multiplier(nn.Module):
    """Lambda and the moving average of what is constrained; both are saved with the weights.

    Args:
        decay: of the moving average.
        rate: of lambda's gradient; optimizers that divide gradients by their size, as Adam and its family, undo it.
        start: lambda at first.
    """

    average: Tensor  # float32 (), 0 or more; -1 before the first step

    def __init__(self, decay: float, rate: float, start: float = 1.0) -> None:
        super().__init__()
        self.decay, self.rate = decay, rate
        self.w = nn.Parameter(torch.tensor(math.log(math.expm1(math.sqrt(start)))))
        self.register_buffer("average", torch.tensor(-1.0))

    def smoothed(self, loss: Tensor) -> Tensor:
        """The moving average with this loss in it, the first one alone; the gradient is that of this loss.

        While training the average is kept; otherwise it stays.
        """
        now = loss.detach().float()
        average = torch.where(self.average < 0, now, self.decay * self.average + (1 - self.decay) * now)
        if self.training:
            self.average.copy_(average)
        return average + (loss - loss.detach())

    def value(self) -> Tensor:
        """Lambda, 0 or more."""
        return functional.softplus(self.w) ** 2

    def forward(self, excess: Tensor) -> Tensor:
        """Lambda times how far the constraint is missed; a step that lowers it raises lambda by ``rate`` times that."""
        fixed = self.value().detach()
        return fixed * excess - self.rate * (self.value() - fixed) * excess.detach()
