"""What each epoch of a training scores on the validation cases, and whether the goal is among it.

No score looks at a planted truth, even where one is known: a goal chosen by it would be of no use where there is none.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from labutils.consensus.majority import majority
from labutils.core.checks import ConfigError, require
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data.loading import all_batches
from labutils.data.store import Store
from labutils.metrics.disagreement import ged_squared
from labutils.metrics.overlap import dice, iou
from labutils.models.base import Model
from labutils.models.samplers import ANSWERS, one_answer
from labutils.training.settings import SET_GOAL, FitConfig


@torch.no_grad()
def validation_scores(
    network: Model, store: Store, config: FitConfig, device: torch.device, step: int = 0
) -> dict[str, float]:
    """Means over cases: each loss term (``val_``), and IoU and Dice of the most probable class against the consensus.

    The consensus is the raters' majority with ties to the foreground; several foreground classes are averaged. A model
    with a clean head is scored by it, one whose answers differ by their mean. `step` says how far the training is, for
    terms whose weight changes on the way.

    Where the goal is ``ged2_v``, `ANSWERS` answers are drawn for each case and compared, as a set, with the masks
    of the case's own raters (`labutils.metrics.disagreement.ged_squared`, V), for nobody else: they cost a pass each.
    For a network without chance they are one answer, and the score that of the best single mask.
    """
    network.eval()
    sums: dict[str, float] = {}
    for number, batch in enumerate(all_batches(store, config.batch_size)):
        batch = batch.to(device)
        rng = rng_for(config.seed, "validate", number)
        values = {f"val_{k}": float(v) for k, v in network.objective(batch, step, rng)._asdict().items()}
        if config.goal.metric == SET_GOAL:
            drawn = network.sample(batch.image, ANSWERS, rng_for(config.seed, "goal", number))
            values[SET_GOAL] = _set_distance(drawn, batch)
        same = config.goal.metric == SET_GOAL and not hasattr(network, "clean")
        values |= _overlap(drawn.mean(dim=1) if same else one_answer(network, batch.image, rng), batch)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value * len(batch.image)
    return {name: total / len(store) for name, total in sums.items()}


def require_goal(network: Model, store: Store, config: FitConfig, device: torch.device) -> None:
    """Refuse a goal that no epoch will have, before hours are spent; tries the network on one case on the way.

    Raises:
        ConfigError: the goal's metric is not among an epoch's scores.
    """
    scores = validation_scores(network.to(device), store.subset([0]), config, device)
    names = {"lr", SET_GOAL, *scores, *(f"train_{name[4:]}" for name in scores if name.startswith("val_"))}
    metric, wanted = config.goal.metric, ", ".join(sorted(names))
    require(metric in names, f"fit.goal.metric is {metric!r}; wanted one of {wanted}", ConfigError)


def _overlap(probs: Tensor, batch: Batch) -> dict[str, float]:
    classes = probs.shape[1]
    found = probs.argmax(dim=1).cpu()
    wanted = majority(batch.masks.cpu(), batch.present.cpu(), classes, ties="highest")
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"iou": iou, "dice": dice}
    return {
        name: float(torch.stack([measure(found == k, wanted == k) for k in range(1, classes)]).mean())
        for name, measure in measures.items()
    }


def _set_distance(probs: Tensor, batch: Batch) -> float:
    """GED², V, of the most probable classes of (B, S, K, H, W), averaged over cases and foreground classes."""
    samples = probs.argmax(dim=2)
    per_class = [ged_squared(samples == k, batch.masks == k, batch.present) for k in range(1, probs.shape[2])]
    return float(torch.stack(per_class).mean())
