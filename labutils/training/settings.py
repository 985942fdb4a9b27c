"""The settings of a training, and the optimizer and learning rates they name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch

from labutils.core.checks import ConfigError, require
from labutils.core.types import Goal
from labutils.data.warp import WarpConfig

SET_GOAL = "ged2_v"  # the goal that compares sampled answers, as a set, with the raters' masks


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a model is trained; the same for every model."""

    epochs: int = 20
    batch_size: int = 16  # cases a step
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3  # highest learning rate
    momentum: float = 0.9  # of sgd
    weight_decay: float = 1e-4
    schedule: Literal["constant", "cosine", "steps"] = "cosine"
    warmup: float = 0.0  # share of all steps over which the rate rises from 0
    milestones: tuple[float, ...] = (0.5, 0.75)  # shares of all steps after which "steps" divides the rate by 10
    clip_norm: float = 10.0  # largest norm of the whole gradient
    augment: bool = True  # by the symmetries of the square
    warp: WarpConfig = field(default_factory=WarpConfig)  # and by moving pixels, each case anew in each step
    crop_px: int = 0  # side of a window at a random place of each case in each step; 0: whole images
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    keep: Literal["best", "last"] = "best"  # whose weights: the epoch best by the goal, or the last one
    patience: int = 0  # epochs without a better goal before stopping; 0: never stop early
    checkpoint_steps: int = 200  # steps between checkpoints inside an epoch; each epoch ends with one
    goal: Goal = field(default_factory=Goal)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "checkpoint_steps"):
            require(getattr(self, name) >= 1, f"fit.{name} is {getattr(self, name)}; wanted 1 or more", ConfigError)
        for name in ("lr", "clip_norm"):
            require(getattr(self, name) > 0, f"fit.{name} is {getattr(self, name)}; wanted more than 0", ConfigError)
        for name in ("momentum", "weight_decay", "patience", "crop_px"):
            require(getattr(self, name) >= 0, f"fit.{name} is {getattr(self, name)}; wanted 0 or more", ConfigError)
        require(not self.patience or self.keep == "best", "fit.patience needs fit.keep = best", ConfigError)
        good = self.goal.metric != SET_GOAL or self.goal.direction == "minimize"
        require(
            good, f"fit.goal.metric is {SET_GOAL}; wanted fit.goal.direction = minimize, as less is better", ConfigError
        )
        require(0 <= self.warmup <= 1, f"fit.warmup is {self.warmup}; wanted a share in [0, 1]", ConfigError)


def make_optimizer(config: FitConfig, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    # `foreach`: all weights in a few calls, which on a CPU takes half the time and gives the same bits
    return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay, foreach=True)


def learning_rate(config: FitConfig, step: int, steps: int) -> float:
    """The rate of step `step` (0-based) of `steps`: a pure function, so there is no schedule state to lose."""
    done = step / max(steps, 1)
    warm = min(1.0, (step + 1) / (config.warmup * steps)) if config.warmup * steps >= 1 else 1.0
    if config.schedule == "cosine":
        shape = 0.5 * (1 + math.cos(math.pi * done))
    elif config.schedule == "steps":
        shape = 0.1 ** sum(done >= milestone for milestone in config.milestones)
    else:
        shape = 1.0
    return config.lr * warm * shape
