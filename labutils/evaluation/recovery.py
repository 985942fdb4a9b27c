"""What a network found of what was planted: the raters' confusion matrices, or how often each style is drawn.

Only the scores read the plant; nothing is learned from it. Beside each score stands what it is to be compared with:
pooled STAPLE and pooled Dawid-Skene on the training cases' masks for single matrices, and for matrices that vary the
best that one matrix per rater can do on the very pixels that are scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labutils.consensus.dawid_skene import dawid_skene
from labutils.consensus.staple import staple
from labutils.core.runtime import rng_for
from labutils.data import planted_sets
from labutils.data.planted import Planted
from labutils.data.store import Store
from labutils.evaluation.draws import from_model
from labutils.metrics.confusion import (
    column_error,
    column_of_truth,
    constant_error,
    matrix_error,
    rim_band,
)
from labutils.metrics.styles import nearest_style, style_shares
from labutils.models.base import Model

FUSED = ("pooled STAPLE", "pooled Dawid-Skene")  # what estimates single matrices without an image
RIM_PX = 4.0  # pixels this near the truth's rim count, where matrices vary
ALIKE = 0.85  # Dice with the nearest style below which a sample is of none
BATCH = 20


def planted_in(store: Store) -> Planted | None:
    """What was planted in a store of the catalog; None where nothing is known to be, as with other seeds."""
    if store.card.name not in planted_sets.SETTINGS or store.split not in planted_sets.CASES:
        return None
    plant = planted_sets.planted(store.card.name, store.split, cases=len(store))
    return plant if plant.store.manifest == store.manifest else None


@torch.no_grad()
def recovered(network: Model, store: Store, device: torch.device, *, samples: int, seed: int) -> dict[str, Any]:
    """How far a trained network is from what was planted in the cases it is scored on.

    Args:
        network: any model; what it has no matrices or annotators for is left out.
        store: cases of the catalog, or any other, for which the answer is empty.
        device: where to compute.
        samples: annotators drawn for each case, where the network draws any.
        seed: of these draws.
    Returns:
        "matrices": mean and largest absolute error over entries, where both have one matrix per rater; "columns":
        mean absolute error of each rater's column of the true class within `RIM_PX` of the rim; "styles": share of
        each planted style among the samples, of samples like none, and the total variation from the frequencies.
    """
    plant = planted_in(store)
    if plant is None:
        return {}
    if store.card.identified:
        return _matrices(network, plant, device) if getattr(network.config, "per_rater", False) else {}
    return {"styles": _styles(network, plant, device, samples, seed)} if network.stochastic else {}


def references(train: Store, test: Store) -> dict[str, Any]:
    """What the recovered matrices are to be compared with, on the same data; empty where none are planted.

    "pooled STAPLE", of two classes, and "pooled Dawid-Skene" estimate one matrix per rater from the training cases'
    masks, without an image; the second is left out where no case has two raters, whom it compares. "best constant" is
    the least error of the true class's column that one matrix per rater can have, by mean and by median.
    """
    plant = planted_in(test)
    if plant is None or not test.card.identified:
        return {}
    _, truth, columns = _stacked(plant, range(len(test)))
    near = rim_band(truth, RIM_PX)
    best = {center: constant_error(columns, truth, near, center=center).tolist() for center in ("mean", "median")}
    told: dict[str, Any] = {"best constant": best}
    if (single := _single(plant)) is not None:
        if train.card.classes == 2:
            told["pooled STAPLE"] = matrix_error(_stapled(train), single)._asdict()
        if bool((np.asarray(train.present).sum(axis=1) > 1).any()):
            told["pooled Dawid-Skene"] = matrix_error(_compared(train), single)._asdict()
    return told


def _compared(train: Store) -> Tensor:
    """Matrices by pooled Dawid-Skene, float64 (R, K, K)."""
    masks, present = torch.from_numpy(np.asarray(train.masks)), torch.from_numpy(np.asarray(train.present))
    return dawid_skene(masks, present, train.card.classes, pooled=True).confusion[0]


def _stapled(train: Store) -> Tensor:
    """Matrices of two classes by pooled STAPLE, float64 (R, 2, 2)."""
    masks, present = torch.from_numpy(np.asarray(train.masks)) == 1, torch.from_numpy(np.asarray(train.present))
    found = staple(masks, present, pooled=True)
    hit, left = found.sensitivity.nanmean(dim=0), found.specificity.nanmean(dim=0)  # pooled: equal in all cases
    return torch.stack([torch.stack([left, 1 - hit], dim=1), torch.stack([1 - left, hit], dim=1)], dim=1)


def _single(plant: Planted) -> Tensor | None:
    """The planted matrices (R, K, K) where each is the same at all pixels."""
    matrices = torch.from_numpy(plant.matrices(0))
    first = matrices[..., :1, :1]
    return first[..., 0, 0] if bool((matrices == first).all()) else None


def _stacked(plant: Planted, cases: range) -> tuple[Tensor, Tensor, Tensor]:
    """Planted matrices (B, R, K, K, H, W), truth (B, H, W) and the matrices' columns of the truth of some cases."""
    matrices = torch.from_numpy(np.stack([plant.matrices(index) for index in cases]))
    truth = torch.from_numpy(np.asarray(plant.store.truth[cases.start : cases.stop]))  # type: ignore[index]
    return matrices, truth, column_of_truth(matrices, truth)


def _batches(plant: Planted) -> Iterator[range]:
    for start in range(0, len(plant.store), BATCH):
        yield range(start, min(start + BATCH, len(plant.store)))


def _matrices(network: Model, plant: Planted, device: torch.device) -> dict[str, Any]:
    network = network.to(device).eval()
    total, counted, single = torch.zeros(plant.store.masks.shape[1], dtype=torch.float64), 0, _single(plant)
    for cases in _batches(plant):
        log_matrices = network(plant.store.batch(cases).image.to(device)).log_matrices
        found = log_matrices.exp().float().cpu()
        _, truth, columns = _stacked(plant, cases)
        near = rim_band(truth, RIM_PX)
        pixels = int(near.sum())
        total += pixels * column_error(column_of_truth(found, truth), columns, near)
        counted += pixels
    told: dict[str, Any] = {"columns": (total / counted).tolist()}
    if single is not None and found.shape[-2:] == (1, 1):
        told["matrices"] = matrix_error(found[0, :, :, :, 0, 0], single)._asdict()
    return told


def _styles(network: Model, plant: Planted, device: torch.device, samples: int, seed: int) -> Mapping[str, Any]:
    draw = from_model(network, device)
    nearest = []
    for cases in _batches(plant):
        rng = rng_for(seed, "styles", cases.start)
        drawn = draw(plant.store.batch(cases), samples, rng).argmax(dim=2) > 0
        styles = torch.from_numpy(np.stack([plant.likeliest(index) for index in cases])) > 0
        nearest.append(nearest_style(drawn, styles, least=ALIKE))
    frequencies = planted_sets.SETTINGS[plant.store.card.name].raters.frequencies  # type: ignore[union-attr]
    found = style_shares(torch.cat(nearest), torch.tensor(frequencies))
    names = [style.name for style in plant.raters]
    shares = dict(zip(names, found.shares.tolist(), strict=True))
    return {"shares": shares, "other": found.other, "total_variation": found.total_variation}
