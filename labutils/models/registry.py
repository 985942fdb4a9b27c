"""Names of models: from a name and settings to a network with weights drawn from a generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from labutils.core.checks import require_choice
from labutils.core.config import from_dict
from labutils.models.base import Model
from labutils.models.blocks import initialize
from labutils.models.global_cm import GlobalCM, GlobalCMConfig
from labutils.models.hier_prob_unet import HierProbUNet, HierProbUNetConfig
from labutils.models.original_cm import OriginalCM, OriginalCMConfig
from labutils.models.phiseg import PHiSeg, PHiSegConfig
from labutils.models.pixel_cm import PixelCM, PixelCMConfig
from labutils.models.prob_unet import ProbUNet, ProbUNetConfig
from labutils.models.ssn import SSN, SSNConfig
from labutils.models.stochastic_cm import StochasticCM, StochasticCMConfig
from labutils.models.unet import UNet, UNetConfig


class Entry(NamedTuple):
    """A registered model."""

    config: type
    network: type[Model]


MODELS: dict[str, Entry] = {
    "unet": Entry(UNetConfig, UNet),
    "global-cm": Entry(GlobalCMConfig, GlobalCM),
    "pixel-cm": Entry(PixelCMConfig, PixelCM),
    "stochastic-cm": Entry(StochasticCMConfig, StochasticCM),
    "original-cm": Entry(OriginalCMConfig, OriginalCM),
    "prob-unet": Entry(ProbUNetConfig, ProbUNet),
    "hier-prob-unet": Entry(HierProbUNetConfig, HierProbUNet),
    "phiseg": Entry(PHiSegConfig, PHiSeg),
    "ssn": Entry(SSNConfig, SSN),
}


def make_config(name: str, settings: Mapping[str, Any] | None = None) -> Any:
    """The configuration of the model called `name`.

    Raises:
        ConfigError: there is no such model, or a setting is unknown or out of range.
    """
    require_choice("model", name, tuple(MODELS))
    return from_dict(MODELS[name].config, settings or {}, "model")


def build(name: str, config: Any, rng: torch.Generator) -> Model:
    """A new network of that name and configuration; its weights depend on `rng` alone, global chance is left alone."""
    require_choice("model", name, tuple(MODELS))
    with torch.random.fork_rng(devices=[]):
        network = MODELS[name].network(config)
    initialize(network, rng)
    return network


def name_of(network: Model) -> str:
    """The registered name of a network's class."""
    return next(name for name, entry in MODELS.items() if isinstance(network, entry.network))
