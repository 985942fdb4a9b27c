"""Loading: batches in an order and with an augmentation that follow from (seed, epoch, step) alone.

Nothing is remembered between steps, so a run resumed at any step sees the batches it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from labutils.core.checks import require
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data.augment import apply_symmetries, draw_symmetries
from labutils.data.store import Store


def steps_per_epoch(cases: int, batch_size: int) -> int:
    """How many batches `cases` cases make; the last one may be partial.

    Raises:
        InputError: either number is below 1.
    """
    require(cases >= 1 and batch_size >= 1, f"{cases} cases in batches of {batch_size}; wanted both 1 or more")
    return -(-cases // batch_size)


def epoch_batches(
    store: Store, batch_size: int, *, seed: int, epoch: int, start: int = 0, augment: bool = True
) -> Iterator[Batch]:
    """The batches of one training epoch, every case once, on the CPU.

    Args:
        store: the cases; with or without masks.
        batch_size: B, 1 or more; the last batch holds what is left.
        seed: the run's seed.
        epoch: 0 or more; each epoch has its own order and its own symmetries.
        start: how many batches to skip; they are not computed. At the number of batches, nothing is left.
        augment: apply a random symmetry of the square to each case (flips only where H and W differ).
    Raises:
        InputError: a size is out of range (raised here, before the first batch is asked for).
    """
    steps = steps_per_epoch(len(store), batch_size)
    require(epoch >= 0, f"epoch is {epoch}; wanted 0 or more")
    require(0 <= start <= steps, f"start is {start}; wanted 0 to {steps} batches")
    return _epoch(store, batch_size, range(start, steps), seed, epoch, augment)


def _epoch(store: Store, batch_size: int, steps: range, seed: int, epoch: int, augment: bool) -> Iterator[Batch]:
    order = torch.randperm(len(store), generator=rng_for(seed, "order", epoch)).numpy()
    square = store.image.shape[-2] == store.image.shape[-1]
    drawn = draw_symmetries(len(store), rng_for(seed, "symmetries", epoch), square=square)
    for step in steps:
        place = slice(step * batch_size, (step + 1) * batch_size)
        batch = store.batch(order[place])
        yield apply_symmetries(batch, drawn[place]) if augment else batch


def all_batches(store: Store, batch_size: int) -> Iterator[Batch]:
    """Every case once, in the store's order and unchanged, for evaluation; the last batch may be partial.

    Raises:
        InputError: `batch_size` is below 1 (raised here, before the first batch is asked for).
    """
    steps_per_epoch(len(store), batch_size)
    return (
        store.batch(range(first, min(first + batch_size, len(store)))) for first in range(0, len(store), batch_size)
    )
