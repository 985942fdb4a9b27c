"""What a search is about: a model, its data, what is searched, and what every trial begins from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from labutils.core.config import to_dict
from labutils.core.runtime import rng_for
from labutils.data.loading import steps_per_epoch
from labutils.data.store import Store
from labutils.evaluation.passport import describe_store
from labutils.models.base import Model
from labutils.models.registry import build, make_config
from labutils.search.defaults import default_space
from labutils.search.space import SearchConfig, Space, largest, require_free, require_space
from labutils.training.settings import FitConfig
from labutils.training.suit import model_config
from labutils.training.validation import require_goal


class Plan:
    """A search that can be made: all of it is checked here, and nothing is written.

    Args:
        train: cases to learn from.
        validate: cases that give the goal's value.
        model: name of a registered model.
        settings: of the model, those that are not searched; channels, classes and raters follow `train` unless set.
        config: how to train, what is not searched; ``config.goal`` is the goal of the search, see
            `labutils.training.suit.default_goal`.
        search: the space, empty for `labutils.search.defaults.default_space`, and how it is searched.
        device: where to compute.
    Raises:
        ConfigError: there is no such model, setting or goal, or the space holds what a setting cannot be or what is
            in `settings`.
        InputError: the model does not suit the data, such as one that follows single raters where raters are
            exchangeable.
    """

    def __init__(
        self,
        *,
        train: Store,
        validate: Store,
        model: str,
        settings: Mapping[str, Any],
        config: FitConfig,
        search: SearchConfig,
        device: torch.device,
    ) -> None:
        self.train, self.validate, self.model, self.config, self.device = train, validate, model, config, device
        self.base = {"model": to_dict(model_config(model, settings, train, config.crop_px)), "fit": to_dict(config)}
        space = search.space
        if space == Space():
            steps = config.epochs * steps_per_epoch(len(train), config.batch_size)
            space = default_space(model, self.base["model"], steps)
        require_free(space, {"model": settings})
        require_space(space, model, self.base)
        self.search = replace(search, space=space)
        self.data = [describe_store(store) for store in (train, validate)]
        require_goal(self.largest(), validate, config, device)

    def recorded(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Tables ``model`` and ``fit`` as they are kept, with the model's name."""
        return {**settings, "model": {"name": self.model, **settings["model"]}}

    def whole(self) -> dict[str, Any]:
        """Every setting of the search, as it is kept."""
        return {**self.recorded(self.base), "search": to_dict(self.search)}

    def network(self, settings: Mapping[str, Any]) -> Model:
        """An untrained network with these settings of the model; its weights depend on them and the seed alone."""
        return build(self.model, make_config(self.model, settings), rng_for(self.config.seed, "weights"))

    def largest(self) -> Model:
        """An untrained network as large as any of the space: what a trial may cost at most."""
        return self.network(largest(self.search.space, self.base))
