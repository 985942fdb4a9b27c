"""What a search may vary, and how it goes about it.

A space is two tables, ``fit`` and ``model``, that name settings of `FitConfig` and of the model, each with its range or
its choices; in a file of settings::

    [search.space.fit.lr]
    low = 1e-4
    high = 1e-2
    log = true

    [search.space.model.latent]
    choices = [2, 4, 8]

On the command line the same is ``--set search.space.fit.lr.low=1e-4`` and so on. Dotted names such as ``fit.lr`` are
what a study and its trials call the settings.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import BaseTrial

from labutils.core.checks import ConfigError, require
from labutils.core.config import from_dict, merge
from labutils.models.registry import MODELS, make_config
from labutils.training.settings import FitConfig

FIXED = {  # what cannot be searched, and why
    "fit.goal": "it says what is compared",
    "fit.seed": "a lucky seed is no better setting",
    "model.channels": "it follows the data",
    "model.classes": "it follows the data",
    "model.raters": "it follows the data",
}


@dataclass(frozen=True, kw_only=True)
class Range:
    """What one setting is drawn from: everything from `low` to `high`, both included, or some `choices`."""

    low: float | None = None
    high: float | None = None
    log: bool = False  # drawn on a log scale
    choices: tuple[Any, ...] = ()  # numbers, words, true or false


@dataclass(frozen=True, kw_only=True)
class Space:
    """The settings that are searched over; an empty one stands for `labutils.search.defaults.default_space`."""

    fit: dict[str, Range] = field(default_factory=dict)
    model: dict[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, chosen in self:
            _require_range(f"search.space.{name}", chosen)

    def __iter__(self) -> Iterator[tuple[str, Range]]:
        """Dotted names with their ranges, by name: the order in which trials draw, however a space was told."""
        tables = {"fit": self.fit, "model": self.model}
        return iter(sorted((f"{table}.{name}", chosen) for table in tables for name, chosen in tables[table].items()))


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How settings are proposed (tree-structured Parzen estimator) and bad trials stopped (median rule)."""

    space: Space = field(default_factory=Space)
    random_trials: int = 10  # first trials, drawn at random
    unpruned_trials: int = 5  # trials that must be complete before one is stopped
    unpruned_epochs: int = (
        1  # first epochs of every trial, after which it is never stopped; no fewer than a warm-up has
    )
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("random_trials", "unpruned_trials", "unpruned_epochs"):
            require(getattr(self, name) >= 0, f"search.{name} is {getattr(self, name)}; wanted 0 or more", ConfigError)


def _require_range(where: str, chosen: Range) -> None:
    low, high, choices = chosen.low, chosen.high, chosen.choices
    if choices:
        alone = (low, high, chosen.log) == (None, None, False)
        require(alone, f"{where} has choices and a range; wanted one of the two", ConfigError)
        different = len({repr(choice) for choice in choices}) == len(choices)
        require(different, f"{where}.choices are {list(choices)}; wanted different ones", ConfigError)
        return
    told = low is not None and high is not None
    require(told, f"{where} has low {low} and high {high}; wanted both of them, or choices", ConfigError)
    assert low is not None
    assert high is not None
    in_order = math.isfinite(low) and math.isfinite(high) and low <= high
    require(in_order, f"{where} goes from {low:g} to {high:g}; wanted two numbers, lowest first", ConfigError)
    require(low > 0 or not chosen.log, f"{where}.low is {low:g}; wanted more than 0 on a log scale", ConfigError)


def require_free(space: Space, given: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse settings that are given and searched at once; `given` holds tables ``model`` or ``fit``.

    Raises:
        ConfigError: the sentence names the setting.
    """
    for name, _ in space:
        table, key = name.split(".", 1)
        instead = f"wanted its range in search.space.{name}, or a search.space without it"
        require(key not in given.get(table, {}), f"{name} is what is searched; {instead}", ConfigError)


def require_space(space: Space, model: str, settings: Mapping[str, Any]) -> None:
    """Refuse a space with settings that there are not, or values that they cannot have.

    Args:
        space: what is searched.
        model: name of a registered model.
        settings: tables ``model`` and ``fit`` that every trial begins from; each end of a range and each choice must
            suit them.
    Raises:
        ConfigError: the sentence names the setting.
    """
    for name, chosen in space:
        if name in FIXED:
            raise ConfigError(f"search.space.{name} cannot be searched: {FIXED[name]}")
        hint = _hint(name, model)
        simple = hint in (int, float, bool, str) or typing.get_origin(hint) is typing.Literal
        require(simple, f"search.space.{name} cannot be searched: it is not a single number or word", ConfigError)
        in_range = hint in (int, float) or chosen.choices
        require(in_range, f"search.space.{name} has a range and is no number; wanted its choices", ConfigError)
        for value in chosen.choices or _ends(chosen, hint):
            _try(name, value, model, settings)


def _hint(name: str, model: str) -> Any:
    """The type of a setting."""
    table, key = name.split(".", 1)
    config: type = FitConfig if table == "fit" else MODELS[model].config
    types = typing.get_type_hints(config)
    hints = {field.name: types[field.name] for field in dataclasses.fields(config)}
    known = f"search.space.{name} is no setting of {model if table == 'model' else 'a training'}"
    require(key in hints, f"{known}; there are {', '.join(sorted(hints))}", ConfigError)
    return hints[key]


def _ends(chosen: Range, hint: Any) -> list[float]:
    ends = [float(end) for end in (chosen.low, chosen.high) if end is not None]
    return [int(end) if hint is int and end.is_integer() else end for end in ends]


def _try(name: str, value: Any, model: str, settings: Mapping[str, Any]) -> None:
    table, key = name.split(".", 1)
    tried = merge(settings, {table: {key: value}})[table]
    try:
        make_config(model, tried) if table == "model" else from_dict(FitConfig, tried, "fit")
    except ConfigError as error:
        raise ConfigError(f"search.space.{name} holds {value!r}, and then {error}") from error


def suggest(trial: BaseTrial, space: Space, model: str) -> dict[str, Any]:
    """The settings of a trial, nested as `labutils.core.config.merge` takes them."""
    drawn: dict[str, Any] = {}
    for name, chosen in space:
        table, key = name.split(".", 1)
        drawn.setdefault(table, {})[key] = _draw(trial, name, chosen, _hint(name, model))
    return drawn


def _draw(trial: BaseTrial, name: str, chosen: Range, hint: Any) -> Any:
    if chosen.choices:
        return trial.suggest_categorical(name, chosen.choices)
    low, high = _ends(chosen, hint)
    if hint is int:
        return trial.suggest_int(name, int(low), int(high), log=chosen.log)
    return trial.suggest_float(name, low, high, log=chosen.log)


def largest(space: Space, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The model's settings with every number searched at its highest: the most that a trial may cost."""
    highest = {}
    for name, chosen in space:
        table, key = name.split(".", 1)
        base = settings["model"].get(key)
        if table == "model" and isinstance(base, int | float) and not isinstance(base, bool):
            highest[key] = type(base)(max(chosen.choices or (chosen.high,)))
    return merge(settings["model"], highest)
