"""A step of training as `labutils.training.fit` takes it: forward, backward, clipping and the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.base import Model
from labutils.training.fit import fabric_for
from labutils.training.settings import FitConfig, make_optimizer

BFLOAT16 = ("avx512_bf16", "amx_bf16")  # without one of them a processor computes in float32 and rounds


def lacking_bfloat16() -> str:
    """What this processor lacks for rows in bfloat16; "" where it has it."""
    able = any(torch.cpu.get_capabilities().get(name) for name in BFLOAT16)
    return "" if able else "no bfloat16 instructions"


def stepper(network: Model, batch: Batch, precision: str, device: torch.device | None = None) -> Callable[[], float]:
    """A function that takes one step of training, on the processor unless told otherwise, and gives its loss."""
    config = FitConfig(precision=precision)  # type: ignore[arg-type]
    fabric = fabric_for(config, device or torch.device("cpu"))
    module, optimizer = fabric.setup(network.train(), make_optimizer(config, network.parameters()))
    module.mark_forward_method("objective")

    def step() -> float:
        with fabric.autocast():
            terms: Any = module.objective(batch, 0, rng_for(0, "bench", "objective"))
        optimizer.zero_grad()
        fabric.backward(terms.total)
        fabric.clip_gradients(module, optimizer, max_norm=config.clip_norm)
        optimizer.step()
        return float(terms.total.detach())

    return step
