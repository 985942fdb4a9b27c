"""Steps down the total, and what they must lower: measured on the network's answers and beliefs, by no loss term.

A step down the slope of a term lowers that term whatever its sign. So a test goes down the total, with settings that
let one term rule, and looks at what this term stands for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.distributions import Normal, kl_divergence

from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.base import Model

STEPS = 20
LENGTH = 1e-2  # of a step, over all weights


def go_down(model: Model, batch: Batch, steps: int = STEPS) -> None:
    """Some short steps down the total, of one length and always with the same draws."""
    parameters = list(model.parameters())
    for _ in range(steps):
        total = model.objective(batch, 0, rng_for(0, "o")).total
        slopes = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
        length = sum(float((slope**2).sum()) for slope in slopes) ** 0.5
        with torch.no_grad():
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter -= LENGTH * slope / length


def left_of(measure: Callable[[Model, Batch], float], model: Model, batch: Batch) -> float:
    """What some steps down the total leave of a measure, such as `doubt` or `distance`, as a share of it before."""
    before = measure(model, batch)
    go_down(model, batch)
    return measure(model, batch) / before


def of_one_rater(batch: Batch) -> Batch:
    """The batch with its first rater alone, so that it is known which mask is drawn."""
    return batch._replace(masks=batch.masks[:, :1], present=batch.present[:, :1])


@torch.no_grad()
def doubt(model: Model, batch: Batch) -> float:
    """Minus the logarithm of the first rater's labels, a pixel, in the answer that is made of having seen them."""
    mask = batch.masks[:, 0]
    return -model.reconstruct(batch.image, mask).gather(1, mask[:, None].long()).log().mean().item()


@torch.no_grad()
def distance(model: Model, batch: Batch) -> float:
    """How far what is believed after seeing masks is from before: KL in nats a mask, as torch has it."""
    prior, posterior, _ = model.latents(batch)
    before, after = (Normal(belief.mean, belief.log_sigma.exp()) for belief in (prior, posterior))
    return kl_divergence(after, before).sum(dim=1).mean().item()
