"""STAPLE over vote patterns against SimpleITK's filters over pixels: seven raters, 256 x 256 pixels."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from labutils.consensus.multilabel import multilabel_staple
from labutils.consensus.staple import staple
from labutils.core.runtime import rng_for
from tests.bench.timing import Bench

RATERS, SIZE, CLASSES = 7, 256, 4


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


@cache
def label_maps() -> Tensor:
    """Rings seen by raters who err in 2 to 14 pixels of a hundred: uint8 (1, R, H, W)."""
    grid = torch.arange(SIZE) - SIZE / 2
    rings = ((grid[:, None] ** 2 + grid**2).sqrt() // (SIZE / 8)).clamp(max=CLASSES - 1).to(torch.uint8)
    rng = rng_for(0, "bench", "multi-label staple")
    errs = torch.rand(1, RATERS, SIZE, SIZE, generator=rng) < 0.02 * torch.arange(1, RATERS + 1)[:, None, None]
    return torch.where(errs, torch.randint(0, CLASSES, errs.shape, generator=rng).to(torch.uint8), rings)


@cache
def itk_label_inputs() -> tuple[object, list[object]]:
    """The filter for label maps on one thread, and its images."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    images = [SimpleITK.GetImageFromArray(labels.numpy()) for labels in label_maps()[0]]
    return SimpleITK.MultiLabelSTAPLEImageFilter(), images


def itk_labels() -> np.ndarray:
    """The peer's labels; K where undecided."""
    import SimpleITK

    label_filter, images = itk_label_inputs()
    return SimpleITK.GetArrayFromImage(label_filter.Execute(images))


def our_labels() -> Tensor:
    return multilabel_staple(label_maps(), None, CLASSES, undecided=CLASSES).labels


def same_labels() -> None:
    np.testing.assert_array_equal(our_labels()[0], itk_labels())


def agrees() -> None:
    np.testing.assert_allclose(staple(masks()).probability[0], itk_probability(), rtol=0, atol=1e-6)


def benches() -> list[Bench]:
    """The rows of the consensus room."""
    return [
        Bench(
            name=f"STAPLE, binary, {RATERS} raters, {SIZE} x {SIZE}",
            ours=lambda: staple(masks()),
            peer=itk_probability,
            peer_name="SimpleITK STAPLE",
            at_most=0.05,
            check=agrees,
        ),
        Bench(
            name=f"STAPLE, {CLASSES} classes, {RATERS} raters, {SIZE} x {SIZE}",
            ours=our_labels,
            peer=itk_labels,
            peer_name="SimpleITK MultiLabelSTAPLE",
            at_most=0.12,
            check=same_labels,
        ),
    ]
