"""STAPLE over vote patterns against SimpleITK's filter over pixels: seven raters, 256 x 256 pixels."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from labutils.consensus.staple import staple
from labutils.core.runtime import rng_for
from tests.bench.timing import Bench

RATERS, SIZE = 7, 256


@cache
def masks() -> Tensor:
    """A disc seen by raters who err in 2 to 14 pixels of a hundred: bool (1, R, H, W)."""
    grid = torch.arange(SIZE) - SIZE / 2
    disc = grid[:, None] ** 2 + grid**2 < (SIZE / 4) ** 2
    flips = torch.rand(1, RATERS, SIZE, SIZE, generator=rng_for(0, "bench", "staple"))
    return disc ^ (flips < 0.02 * torch.arange(1, RATERS + 1)[:, None, None])


@cache
def itk_inputs() -> tuple[object, list[object]]:
    """The filter on one thread, and its images."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    images = [SimpleITK.GetImageFromArray(mask.numpy().astype(np.uint8)) for mask in masks()[0]]
    return SimpleITK.STAPLEImageFilter(), images


def itk_probability() -> np.ndarray:
    """The peer's posterior."""
    import SimpleITK

    staple_filter, images = itk_inputs()
    return SimpleITK.GetArrayFromImage(staple_filter.Execute(images))


def agrees() -> None:
    np.testing.assert_allclose(staple(masks()).probability[0], itk_probability(), rtol=0, atol=1e-6)


def benches() -> list[Bench]:
    """The row of the consensus room."""
    return [
        Bench(
            name=f"STAPLE, binary, {RATERS} raters, {SIZE} x {SIZE}",
            ours=lambda: staple(masks()),
            peer=itk_probability,
            peer_name="SimpleITK STAPLE",
            at_most=0.05,
            check=agrees,
        )
    ]
