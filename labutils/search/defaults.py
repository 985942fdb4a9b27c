"""What is searched where nothing else is told: a space for each model.

The space of ``stochastic-cm`` is that of the published search, rate and ramp, with what stood beside them there: weight
decay, the weight of the KL, and the latent size. The ramp is a share of the training's steps, as published.

The goal is that of a training (`labutils.training.suit.default_goal`). A loss is none where the search changes the
weights of its terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labutils.core.checks import ConfigError, require
from labutils.search.space import Range, Space

RATE = Range(low=1e-4, high=1e-2, log=True)
DECAY = Range(low=1e-5, high=1e-1, log=True)
BETA = Range(low=0.1, high=10.0, log=True)
LATENT = Range(low=2, high=16, log=True)
RAMP = (0.1, 0.6)  # shares of the steps after the warm-up
WARM_UP = (0.0, 0.3)  # shares of all steps


def default_space(model: str, settings: Mapping[str, Any], steps: int) -> Space:
    """What is searched for a model.

    Args:
        model: name of a registered model; one that is not named here has its rate and weight decay searched.
        settings: of the model.
        steps: of a training.
    Raises:
        ConfigError: the training is over before the model's warm-up is, so that there is no ramp to search.
    """
    if model == "unet":
        return Space(fit={"lr": RATE}, model={"width": Range(choices=(8, 16, 24, 32))})
    fit = {"lr": RATE, "weight_decay": DECAY}
    if model in ("global-cm", "pixel-cm"):
        return Space(fit=fit, model={"warm_up": _steps(WARM_UP, steps, least=0)})
    if model == "stochastic-cm":
        left = steps - settings["warm_up"]
        over = f"a training has {steps} steps and model.warm_up is {settings['warm_up']}"
        require(left > 0, f"{over}; wanted a warm-up that ends before, so that something else is learned", ConfigError)
        return Space(fit=fit, model={"beta": BETA, "latent": LATENT, "ramp": _steps(RAMP, left, least=1)})
    if model == "phiseg":
        return Space(fit=fit, model={"beta": BETA})
    if model == "prob-unet":
        return Space(fit=fit, model={"beta": BETA, "latent": LATENT})
    if model == "hier-prob-unet":
        held = {"kappa": Range(low=0.01, high=0.2, log=True)} if settings["loss"] == "geco" else {"beta": BETA}
        return Space(fit=fit, model=held)
    if model == "ssn":
        return Space(fit=fit, model={"rank": Range(choices=(5, 10, 20))})
    return Space(fit=fit)


def _steps(shares: tuple[float, float], steps: int, *, least: int) -> Range:
    low, high = (max(least, round(share * steps)) for share in shares)
    return Range(low=low, high=high)
