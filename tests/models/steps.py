"""One short step down the slope of a loss term, to see that it lowers what it claims to lower."""

from __future__ import annotations

import torch

from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.base import Model

LENGTH = 1e-3  # of the step, over all weights


def before_and_after(model: Model, batch: Batch, term: str) -> tuple[float, float]:
    """A term of the objective, and the same after a step down its own slope, with the same draws."""

    def value() -> torch.Tensor:
        return getattr(model.objective(batch, 0, rng_for(0, "o")), term)

    before = value()
    parameters = list(model.parameters())
    slopes = torch.autograd.grad(before, parameters, allow_unused=True)
    length = sum(float((slope**2).sum()) for slope in slopes if slope is not None) ** 0.5
    with torch.no_grad():
        for parameter, slope in zip(parameters, slopes, strict=True):
            if slope is not None:
                parameter -= LENGTH * slope / length
    return before.item(), value().item()
