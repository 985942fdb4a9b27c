"""``python -m tests.bench.on_gpu``: a step of the published Hierarchical Probabilistic U-Net on a GPU, in milliseconds.

32 images of 128 x 128 in bfloat16: as it is; its objective compiled; and run as five cores, as ports of the published
graph run it where nothing prunes it: posterior and prior as the loss needs them, and beside them a drawn prior, the
posterior's mean and the prior at that mean, which the loss does not use. All three begin at the same weights.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data.discs import DiscsConfig, make_discs
from labutils.models.base import Model
from labutils.models.blocks import initialize
from labutils.models.hier_prob_unet import HierProbUNet, HierProbUNetConfig, HierProbUNetTerms
from tests.bench.steps import stepper

CASES, SIZE = 32, 128
WARM_UP, STEPS = 5, 20  # of each; the first ones choose algorithms, and compile


class FiveCores(HierProbUNet):
    """The same network and loss, with the three passes that the loss does not need."""

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> HierProbUNetTerms:
        """The named loss terms; what else was run is dropped."""
        self.sample(batch.image, 1, rng_for(0, "bench", "drawn prior"))
        self.reconstruct(batch.image, batch.masks[:, 0])
        return super().objective(batch, step, rng)


class Compiled(HierProbUNet):
    """The same network with its objective compiled, in CUDA graphs where it can be."""

    def __init__(self, config: HierProbUNetConfig) -> None:
        super().__init__(config)
        self.compiled = torch.compile(super().objective, mode="reduce-overhead")

    def objective(self, batch: Batch, step: int, rng: torch.Generator) -> HierProbUNetTerms:
        """The named loss terms."""
        return self.compiled(batch, step, rng)  # type: ignore[no-any-return]


KINDS: Mapping[str, type[HierProbUNet]] = {"as it is": HierProbUNet, "compiled": Compiled, "five cores": FiveCores}


def steps(
    kinds: Mapping[str, type[HierProbUNet]], config: HierProbUNetConfig, batch: Batch, device: torch.device
) -> dict[str, Callable[[], float]]:
    """A step of training of each kind, from the same weights."""
    return {name: _step(kind(config), batch.to(device), device) for name, kind in kinds.items()}


def _step(network: Model, batch: Batch, device: torch.device) -> Callable[[], float]:
    initialize(network, rng_for(0, "bench", "weights"))
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return stepper(network, batch, "bf16-mixed", device)


def measure(step: Callable[[], Any], turns: int) -> float:
    """Median milliseconds of a step; its loss is read, so the device has finished."""
    told = []
    for _ in range(turns):
        start = time.perf_counter()
        step()
        told.append(1000 * (time.perf_counter() - start))
    return statistics.median(told)


def main() -> int:
    """Measure and print; 2 where there is no GPU."""
    if not torch.cuda.is_available():
        print("there is no GPU here that PyTorch can use", file=sys.stderr)
        return 2
    batch = make_discs(DiscsConfig(cases=CASES, size_px=SIZE)).batch(range(CASES))
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}: {CASES} x {SIZE} x {SIZE}, bfloat16")
    for name, step in steps(KINDS, HierProbUNetConfig(), batch, torch.device("cuda")).items():
        measure(step, WARM_UP)
        print(f"{name:10} {measure(step, STEPS):8.1f} ms a step")
    return 0


if __name__ == "__main__":
    sys.exit(main())
