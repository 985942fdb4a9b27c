"""One training loop for every model, on Lightning Fabric.

All chance in step s of epoch e derives from (seed, e, s): the order of the cases, augmentation, the rater drawn, the
noise inside layers. A run that is killed and started again therefore ends with the same bits as one that was not,
on a CPU with one thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labutils.core.checks import InputError, NumericsError, require
from labutils.core.runtime import layer_noise, rng_for
from labutils.core.types import Batch
from labutils.data.crop import cut, draw_corners, middle
from labutils.data.loading import epoch_batches, steps_per_epoch
from labutils.data.store import Store
from labutils.data.warp import apply_warps, draw_warps
from labutils.models.base import Model
from labutils.training.checkpoint import (
    WEIGHTS,
    Progress,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from labutils.training.settings import FitConfig, learning_rate, make_optimizer
from labutils.training.validation import validation_scores


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What a callback sees when an epoch ends."""

    number: int  # 1-based
    scores: Mapping[str, float]  # train_<term>, val_<term>, iou, dice, lr, and ged2_v where it is the goal
    history: Sequence[Mapping[str, float]]  # the scores of every epoch so far, this one last
    network: Model
    validate: Store | None
    device: torch.device


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """How a training ended."""

    network: Model  # with the weights kept, in evaluation mode
    history: Sequence[Mapping[str, float]]
    best: float | None  # value of the goal in the epoch whose weights were kept
    best_epoch: int | None
    seconds: float


class Callback:
    """Hears of a training; every method does nothing unless overridden."""

    def on_start(self, epochs: int, steps: int, progress: Progress) -> None:
        """Training is about to begin, or to go on, at `progress`."""

    def on_step(self, epoch: int, step: int, loss: float) -> None:
        """Step `step` (1-based) of an epoch is done."""

    def on_epoch(self, epoch: Epoch) -> None:
        """An epoch is done and its checkpoint is written. An error raised here ends the training."""


def fabric_for(config: FitConfig, device: torch.device) -> Any:
    """Lightning Fabric on one device with the precision of the settings."""
    try:
        from lightning_fabric import Fabric
    except ImportError:
        from lightning.fabric import Fabric
    devices = 1 if device.type == "cpu" else [device.index or 0]
    return Fabric(accelerator=device.type, devices=devices, precision=config.precision)


def fit(
    network: Model,
    train: Store,
    validate: Store | None,
    config: FitConfig,
    *,
    device: torch.device,
    run: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> FitResult:
    """Train a network; where `run` holds a checkpoint, go on from it.

    Args:
        network: a model of `labutils.models`; it is trained in place.
        train: cases to learn from.
        validate: cases that are scored after each epoch and, with ``config.keep`` "best", choose the epoch by
            ``config.goal``; None: the last epoch is taken. With ``config.crop_px``, their middle is.
        config: how to train.
        device: where to compute.
        run: folder for checkpoint and best weights; None: nothing is written.
        callbacks: called at each step and epoch.
    Raises:
        InputError: the training cases have no masks, windows do not fit in them, or the goal is not among the scores.
        NumericsError: a loss term or the gradient is not finite; the message names the term and the step.
    """
    require(train.labeled, f"{train.card.name}/{train.split} has no masks to learn from", InputError)
    validate = None if validate is None else middle(validate, config.crop_px)
    fabric = fabric_for(config, device)
    optimizer = make_optimizer(config, network.parameters())
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    progress = (load_checkpoint(run, network, optimizer) if run else None) or Progress()
    module, optimizer = fabric.setup(network, optimizer)
    module.mark_forward_method("objective")
    loop = _Loop(network, module, optimizer, fabric, config, progress, run, tuple(callbacks))
    for callback in callbacks:
        callback.on_start(config.epochs, steps_per_epoch(len(train), config.batch_size), progress)
    while progress.epoch < config.epochs and not loop.out_of_patience():
        loop.train_epoch(train)
        loop.end_epoch(validate, device)
    if run and (run / WEIGHTS).exists():
        network.load_state_dict(load_weights(run / WEIGHTS).state_dict())
    elif loop.best_state:
        network.load_state_dict(loop.best_state)
    return FitResult(
        network=network.eval(),
        history=progress.history,
        best=progress.best,
        best_epoch=progress.best_epoch,
        seconds=progress.seconds,
    )


class _Loop:
    """The state of one call of `fit`."""

    def __init__(
        self,
        network: Model,
        module: Any,
        optimizer: Any,
        fabric: Any,
        config: FitConfig,
        progress: Progress,
        run: Path | None,
        callbacks: Sequence[Callback],
    ) -> None:
        self.network, self.module, self.optimizer, self.fabric = network, module, optimizer, fabric
        self.config, self.progress, self.run, self.callbacks = config, progress, run, callbacks
        self.best_state: dict[str, Tensor] = {}

    def out_of_patience(self) -> bool:
        last = self.progress.best_epoch or 0
        return bool(self.config.patience) and self.progress.epoch - last >= self.config.patience

    def train_epoch(self, train: Store) -> None:
        """The rest of the epoch under way, step by step."""
        config, progress = self.config, self.progress
        steps = steps_per_epoch(len(train), config.batch_size)
        batches = epoch_batches(
            train,
            config.batch_size,
            seed=config.seed,
            epoch=progress.epoch,
            start=progress.step,
            augment=config.augment,
        )
        self.network.train()
        for batch in batches:
            start = time.perf_counter()
            overall = progress.epoch * steps + progress.step
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(config, overall, config.epochs * steps)
            loss = self._step(batch.to(self.fabric.device), overall)
            progress.step += 1
            progress.seconds += time.perf_counter() - start
            if self.run and progress.step % config.checkpoint_steps == 0 and progress.step < steps:
                save_checkpoint(self.run, self.network, self.optimizer, progress)
            for callback in self.callbacks:
                callback.on_step(progress.epoch + 1, progress.step, loss)

    def _step(self, batch: Batch, overall: int) -> float:
        seed, progress = self.config.seed, self.progress
        if self.config.warp.moves:
            batch = apply_warps(batch, draw_warps(len(batch.image), self.config.warp, rng_for(seed, "warps", overall)))
        if side := self.config.crop_px:
            size = (batch.image.shape[-2], batch.image.shape[-1])
            batch = cut(batch, draw_corners(len(batch.image), size, side, rng_for(seed, "windows", overall)), side)
        # on one device Fabric calls a marked method as it is, without the precision that it gives `forward`
        with self.fabric.autocast(), layer_noise(self.fabric.device, rng_for(0, seed, "layers", overall)):
            terms = self.module.objective(batch, overall, rng_for(seed, "objective", overall))
        values = finite_terms(terms._asdict(), overall)
        self.optimizer.zero_grad()
        self.fabric.backward(terms.total)
        norm = self.fabric.clip_gradients(
            self.module, self.optimizer, max_norm=self.config.clip_norm, error_if_nonfinite=False
        )
        if not math.isfinite(float(norm)):
            raise NumericsError(f"the gradient at step {overall} is not finite, while every loss term is")
        self.optimizer.step()
        progress.cases += len(batch.image)
        for name, value in values.items():
            progress.sums[name] = progress.sums.get(name, 0.0) + value * len(batch.image)
        return values["total"]

    def end_epoch(self, validate: Store | None, device: torch.device) -> None:
        """Score, keep the best weights, write the checkpoint, tell the callbacks."""
        progress, goal, start = self.progress, self.config.goal, time.perf_counter()
        scores = {f"train_{name}": total / progress.cases for name, total in progress.sums.items()}
        scores["lr"] = self.optimizer.param_groups[0]["lr"]
        if validate is not None:
            steps = (progress.epoch + 1) * progress.step  # of epochs that are all as long as this one
            scores |= validation_scores(self.network, validate, self.config, device, steps)
            require(goal.metric in scores, f"goal metric {goal.metric!r} is not among {', '.join(sorted(scores))}")
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.sums, progress.cases = {}, 0
        progress.history.append(scores)
        value = scores[goal.metric] if validate is not None else None
        if value is None or self.config.keep == "last" or goal.better(value, progress.best):
            progress.best, progress.best_epoch = value, progress.epoch
            self.best_state = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
            if self.run:
                save_weights(self.run / WEIGHTS, self.network, {"epoch": progress.epoch})
        progress.seconds += time.perf_counter() - start
        if self.run:
            save_checkpoint(self.run, self.network, self.optimizer, progress)
        report = Epoch(
            number=progress.epoch,
            scores=scores,
            history=progress.history,
            network=self.network,
            validate=validate,
            device=device,
        )
        for callback in self.callbacks:
            callback.on_epoch(report)


def finite_terms(terms: Mapping[str, Tensor], step: int) -> dict[str, float]:
    """The loss terms as numbers.

    Raises:
        NumericsError: one of them is NaN or infinite, named with its step.
    """
    values = {name: float(term.detach()) for name, term in terms.items()}
    for name in sorted(values, key="total".__eq__):  # the parts first: the total only repeats their fault
        if not math.isfinite(values[name]):
            raise NumericsError(f"the loss term {name!r} is {values[name]} at step {step}")
    return values
