"""What a search may vary, and how it goes about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from optuna.trial import BaseTrial

from labutils.core.checks import ConfigError, require


@dataclass(frozen=True, kw_only=True)
class Space:
    """The settings that are searched over."""

    lr: tuple[float, float] = (1e-4, 1e-2)  # lowest and highest learning rate, drawn on a log scale
    widths: tuple[int, ...] = (8, 16, 24, 32)  # channels of the finest level

    def __post_init__(self) -> None:
        low, high = self.lr
        require(0 < low <= high, f"search.space.lr is {self.lr}; wanted a range above 0, lowest first", ConfigError)
        good = self.widths and all(width >= 1 for width in self.widths) and len(set(self.widths)) == len(self.widths)
        require(good, f"search.space.widths is {self.widths}; wanted different whole numbers of 1 or more", ConfigError)


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How settings are proposed (tree-structured Parzen estimator) and bad trials stopped (median rule)."""

    space: Space = field(default_factory=Space)
    random_trials: int = 10  # first trials, drawn at random
    unpruned_trials: int = 5  # trials that must be complete before one is stopped
    unpruned_epochs: int = 1  # first epochs of every trial, after which it is never stopped
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("random_trials", "unpruned_trials", "unpruned_epochs"):
            require(getattr(self, name) >= 0, f"search.{name} is {getattr(self, name)}; wanted 0 or more", ConfigError)


def suggest(trial: BaseTrial, space: Space) -> dict[str, Any]:
    """The settings of a trial, nested as `labutils.core.config.merge` takes them."""
    low, high = space.lr
    return {
        "fit": {"lr": trial.suggest_float("lr", low, high, log=True)},
        "model": {"width": trial.suggest_categorical("width", space.widths)},
    }
