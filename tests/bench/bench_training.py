"""A training step of the stochastic confusion-matrix model in bfloat16 against float32: batches of 16 crops of 64 x 64.

Both networks start from the same weights and go through Lightning Fabric as `labutils.training.fit` does: forward,
backward, clipping and the optimizer's step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data.discs import DiscsConfig, make_discs
from labutils.models.registry import build, make_config
from tests.bench.steps import lacking_bfloat16, stepper
from tests.bench.timing import Bench

WIDTH, SIZE, CASES = 32, 64, 16


@cache
def batch() -> Batch:
    """Discs drawn by four raters."""
    return make_discs(DiscsConfig(cases=CASES, size_px=SIZE)).batch(range(CASES))


@cache
def step(precision: str) -> Callable[[], float]:
    """A function that takes one step of training and gives its loss."""
    settings = {"width": WIDTH, "warm_up": 0}
    network = build("stochastic-cm", make_config("stochastic-cm", settings), rng_for(0, "bench", "weights"))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return stepper(network, batch(), precision)


def both_learn_alike() -> None:
    """The loss starts equal to the digits that bfloat16 has, and falls in both."""
    losses = [[step(precision)() for _ in range(3)] for precision in ("32-true", "bf16-mixed")]
    assert abs(losses[0][0] - losses[1][0]) < 0.02 * losses[0][0], losses
    assert all(steps[-1] < steps[0] for steps in losses), losses


def benches() -> list[Bench]:
    """The rows of the training room."""
    return [
        Bench(
            name=f"stochastic confusion matrices, a step of {CASES} x {SIZE} x {SIZE}, width {WIDTH}, bf16",
            ours=lambda: step("bf16-mixed")(),
            peer=lambda: step("32-true")(),
            peer_name="the same in float32",
            at_most=0.72,
            check=both_learn_alike,
            lacking=lacking_bfloat16(),
        )
    ]
