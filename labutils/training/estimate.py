"""What a training will cost, measured on one step before it starts rather than guessed from a formula."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.base import Model


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Cost of a training."""

    parameters: int
    memory_bytes: int  # weights, gradients, optimizer state and what one step keeps for its backward pass
    step_s: float
    total_s: float

    def sentence(self) -> str:
        """The estimate for a person, in one line."""
        units = ((2 * 3600, 3600, "h"), (120, 60, "min"), (0, 1, "s"))
        length = next(f"{self.total_s / size:.0f} {unit}" for least, size, unit in units if self.total_s >= least)
        length = "less than 1 s" if self.total_s < 1 else f"about {length}"
        return f"{self.parameters:,} parameters, about {self.memory_bytes / 2**20:,.0f} MiB, {length}"


def estimate(network: Model, batch: Batch, steps: int, states_per_weight: int = 2) -> Estimate:
    """Run one step on a copy of the network and scale it up; network and global random state are left as they were.

    Args:
        network: the model to train, on the device it will train on.
        batch: a full batch, on the same device.
        steps: how many steps the training has.
        states_per_weight: numbers the optimizer keeps for each weight (AdamW 2, SGD with momentum 1).
    """
    kept = 0
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights and storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            kept += storage.nbytes()
        return tensor

    twin = copy.deepcopy(network).train()
    weights |= {parameter.untyped_storage().data_ptr() for parameter in twin.parameters()}
    times = []
    with torch.random.fork_rng(devices=[]):
        for _ in range(2):  # the first step also pays for warming up
            seen: set[int] = set()
            kept, start = 0, time.perf_counter()
            with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
                loss = twin.objective(batch, 0, rng_for(0, "estimate")).total
            loss.backward()
            float(loss.detach())  # waits for the device
            times.append(time.perf_counter() - start)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    fixed = 4 * parameters * (2 + states_per_weight)
    return Estimate(parameters=parameters, memory_bytes=fixed + kept, step_s=min(times), total_s=min(times) * steps)
