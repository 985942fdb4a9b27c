"""A training step of the stochastic confusion-matrix model in bfloat16 against float32: batches of 16 crops of 64 x 64.

Both networks start from the same weights and go through Lightning Fabric as `labutils.training.fit` does: forward,
backward, clipping and the optimizer's step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data.discs import DiscsConfig, make_discs
from labutils.models.registry import build, make_config
from labutils.training.fit import fabric_for
from labutils.training.settings import FitConfig, make_optimizer
from tests.bench.timing import Bench

WIDTH, SIZE, CASES = 32, 64, 16
BFLOAT16 = ("avx512_bf16", "amx_bf16")  # without one of them a processor computes in float32 and rounds


@cache
def batch() -> Batch:
    """Discs drawn by four raters."""
    return make_discs(DiscsConfig(cases=CASES, size_px=SIZE)).batch(range(CASES))


@cache
def stepper(precision: str) -> Callable[[], float]:
    """A function that takes one step of training and gives its loss."""
    config = FitConfig(precision=precision)  # type: ignore[arg-type]
    settings = {"width": WIDTH, "warm_up": 0}
    network = build("stochastic-cm", make_config("stochastic-cm", settings), rng_for(0, "bench", "weights"))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fabric = fabric_for(config, torch.device("cpu"))
    module, optimizer = fabric.setup(network, make_optimizer(config, network.parameters()))
    module.mark_forward_method("objective")

    def step() -> float:
        with fabric.autocast():
            terms: Any = module.objective(batch(), 0, rng_for(0, "bench", "objective"))
        optimizer.zero_grad()
        fabric.backward(terms.total)
        fabric.clip_gradients(module, optimizer, max_norm=config.clip_norm)
        optimizer.step()
        return float(terms.total.detach())

    return step


def both_learn_alike() -> None:
    """The loss starts equal to the digits that bfloat16 has, and falls in both."""
    losses = [[stepper(precision)() for _ in range(3)] for precision in ("32-true", "bf16-mixed")]
    assert abs(losses[0][0] - losses[1][0]) < 0.02 * losses[0][0], losses
    assert all(steps[-1] < steps[0] for steps in losses), losses


def benches() -> list[Bench]:
    """The rows of the training room."""
    able = any(torch.cpu.get_capabilities().get(name) for name in BFLOAT16)
    return [
        Bench(
            name=f"stochastic confusion matrices, a step of {CASES} x {SIZE} x {SIZE}, width {WIDTH}, bf16",
            ours=lambda: stepper("bf16-mixed")(),
            peer=lambda: stepper("32-true")(),
            peer_name="the same in float32",
            at_most=0.72,
            check=both_learn_alike,
            lacking="" if able else "no bfloat16 instructions",
        )
    ]
