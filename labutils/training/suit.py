"""Whether a network and data suit each other: settings that follow the data, and refusals where they do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from labutils.core.checks import ConfigError, InputError, require, require_choice
from labutils.core.config import from_dict, to_dict
from labutils.core.types import Goal
from labutils.core.words import quantity
from labutils.data.cards import require_identified
from labutils.data.crop import middle
from labutils.data.loading import steps_per_epoch
from labutils.data.store import Store
from labutils.models.registry import MODELS, make_config
from labutils.training.settings import SET_GOAL, FitConfig


def default_goal(model: str) -> Goal:
    """What the epochs of a training, or the trials of a search, are compared by where nothing else is told.

    No goal looks at a truth. A model that draws answers, or raters, is chosen by how far they are from the raters' own
    masks (``ged2_v``): its Dice with the consensus would favor whatever repeats the raters' majority.
    """
    if MODELS[model].network.stochastic:
        return Goal(metric=SET_GOAL, direction="minimize")
    return Goal()


def fit_config(model: str, settings: Mapping[str, Any]) -> FitConfig:
    """The settings of a model's training: the goal is `default_goal` unless set.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    return from_dict(FitConfig, {"goal": to_dict(default_goal(model)), **settings}, "fit")


def model_config(name: str, settings: Mapping[str, Any], store: Store, crop_px: int = 0) -> Any:
    """The configuration of a model for this data: what its settings share with the data follows them unless set.

    These are channels, classes, identified raters, the size of images for a network that is built for one, and the
    number of levels for one that brings an image down to a pixel.

    Args:
        name: of the model.
        settings: of the model.
        store: the data.
        crop_px: side of the windows that it sees of them; 0: whole images.
    Raises:
        ConfigError: no such model or setting.
        InputError: channels, classes, raters or size were set to what the data do not have, or the model follows single
            raters, by its kind or as set, and those of the data are exchangeable.
    """
    require_choice("model", name, tuple(MODELS))
    store = middle(store, crop_px)
    fields = {field.name for field in dataclasses.fields(MODELS[name].config)}
    raters = store.masks.shape[1] if store.card.identified else 0
    if getattr(MODELS[name].config, "per_rater", False) or settings.get("raters"):
        require_identified(store.card, f"{name}, which follows single raters,")
    size = store.image.shape[-2:]
    of_data = {"channels": store.image.shape[1], "classes": store.card.classes, "raters": raters, "size_px": size}
    if levels_for := getattr(MODELS[name].config, "levels_for", None):
        of_data["levels"] = levels_for(*size)
    config = make_config(name, {key: value for key, value in of_data.items() if key in fields} | dict(settings))
    require_fits(config, store)
    return config


def require_fits(config: Any, store: Store) -> None:
    """Refuse data with other channels or classes than the network's, or other raters where it follows single ones.

    Likewise images of another size where it is built for one.

    Raises:
        InputError: they differ.
    """
    where = f"{store.card.name}/{store.split}"
    there_are: dict[str, int] = {"channels": store.image.shape[1], "classes": store.card.classes}
    if store.labeled and getattr(config, "raters", None):
        there_are["raters"] = store.masks.shape[1]
    for name, there in there_are.items():
        wanted: int = getattr(config, name, there)
        if wanted != there:
            raise InputError(f"the network has {wanted} {name} and {where} has {there}; wanted them equal")
    there_is = tuple(store.image.shape[-2:])
    built_for = getattr(config, "size_px", there_is)
    fits = built_for == there_is
    require(fits, f"the network is built for images of {built_for} pixels and those of {where} have {there_is}")


def require_past_warm_up(config: Any, fit: FitConfig, cases: int) -> None:
    """Refuse a training that ends before all parts of its network have begun to learn.

    Raises:
        ConfigError: it has no more steps than the network's warm-up.
    """
    steps, warm_up = fit.epochs * steps_per_epoch(cases, fit.batch_size), getattr(config, "warm_up", 0)
    length = f"{quantity(fit.epochs, 'epoch')} on {quantity(cases, 'case')}"
    told = f"a training of {length} has {quantity(steps, 'step')} and model.warm_up is {warm_up}"
    require(steps > warm_up or not warm_up, f"{told}; wanted a shorter warm-up or more epochs", ConfigError)
