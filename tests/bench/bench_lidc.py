"""Preparing LIDC-IDRI: crops from a loaded volume, and an epoch of as many crops as the published ones.

The naive path goes nodule by nodule: pylidc's consensus with masks of the whole slice, then the crop cut out of masks
and volume. Both paths start from the same volume in memory and end with the same crops; neither writes files.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labutils.core.runtime import rng_for
from labutils.data import lidc_four
from labutils.data._pylidc import load_pylidc
from labutils.data.lidc_native import NativeConfig, consensus, native_slices, z_scores
from labutils.data.lidc_scans import Scan, open_scan
from labutils.data.loading import epoch_batches
from labutils.data.store import Store, open_store, write_store
from labutils.models.registry import build, make_config
from tests.bench.timing import Bench

SCAN = 1  # LIDC-IDRI-0078: 87 slices
CROPS = sum(images for images, _ in lidc_four.EXPECTED.values())
SIDE, RATERS, BATCH = 180, 4, 32
CONFIG = NativeConfig()
Crop = tuple[np.ndarray, np.ndarray, np.ndarray]  # z-scores, masks, consensus


@cache
def scan() -> Scan:
    """A scan whose volume is in memory; values are noise, since neither path looks at them."""
    import dataclasses

    bare = open_scan(SCAN)
    volume = np.random.default_rng(0).normal(-500, 300, (len(bare.positions_mm), *bare.size)).astype(np.float32)
    return dataclasses.replace(bare, slice_hu=volume.__getitem__)


@cache
def clusters() -> list[list[Any]]:
    """pylidc's clusters in the order of the nodules, their annotations by id; both paths are given them."""
    pylidc = load_pylidc()
    theirs = pylidc.query(pylidc.Scan).filter(pylidc.Scan.id == SCAN).first().cluster_annotations(verbose=False)
    ordered = {tuple(sorted(a.id for a in one)): sorted(one, key=lambda a: a.id) for one in theirs}
    return [ordered[nodule.annotations] for nodule in scan().nodules]


def ours() -> list[Crop]:
    """Every crop by the package."""
    return [
        (z_scores(scan().slice_hu(one.slice_index)[one.window]), one.masks, consensus(one.masks))
        for nodule in scan().nodules
        for one in native_slices(scan(), nodule, CONFIG, Counter())
    ]


def naive() -> list[Crop]:
    """Every crop nodule by nodule, from masks of the whole slice."""
    kept = [cluster for cluster in clusters() if len(cluster) >= CONFIG.min_readers]
    agreed_by_pylidc = sys.modules["pylidc.utils"].consensus
    side, crops = CONFIG.size_px, []
    for cluster in kept:
        pad = [(512, 512), (512, 512), (0, 0)]  # cut at the borders of the scan: whole slices
        agreed, box, masks = agreed_by_pylidc(cluster, clevel=0.5, pad=pad)
        boxes = np.stack([annotation.bbox_matrix() for annotation in cluster]).astype(int)  # inclusive, by axis
        low, high = boxes[:, :2, 0].min(axis=0), boxes[:, :2, 1].max(axis=0)
        start = [max(0, (int(a) + int(b) + 1) // 2 - side // 2) for a, b in zip(low, high, strict=True)]
        window = (slice(start[0], start[0] + side), slice(start[1], start[1] + side))
        for offset, index in enumerate(range(box[2].start, box[2].stop)):
            one = agreed[:, :, offset][window]
            if 30 < one.sum() < 800:
                stacked = np.stack([mask[:, :, offset][window] for mask in masks], axis=-1)
                crops.append((z_scores(scan().slice_hu(index)[window]), stacked, one))
    return crops


def same_crops() -> None:
    """Both paths give the same crops, bit for bit."""
    pairs = list(zip(ours(), naive(), strict=True))
    assert len(pairs) > 10
    for mine, theirs in pairs:
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


@cache
def store() -> Store:
    """As many crops as the published ones, and as large, mapped from disk; a few hundred, repeated."""
    folder = Path(tempfile.mkdtemp(prefix="bench-lidc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rng, distinct = np.random.default_rng(0), 534
    times = CROPS // distinct
    image = rng.random((distinct, 1, SIDE, SIDE), dtype=np.float32)
    masks = (rng.random((distinct, RATERS, SIDE, SIDE), dtype=np.float32) < 0.1).astype(np.uint8)
    made = Store(
        image=np.concatenate([image] * times),
        masks=np.concatenate([masks] * times),
        present=np.ones((CROPS, RATERS), bool),
        spacing_mm=np.ones((CROPS, 2)),
        patients=tuple(f"p{i}" for i in range(CROPS)),
        cases=tuple(f"c{i}" for i in range(CROPS)),
        card=lidc_four.CARD,
        split="train",
        source="memory",
    )
    write_store(folder / "store", made)
    return open_store(folder / "store")


def epoch() -> None:
    """One epoch: order, gather and symmetries."""
    for _ in epoch_batches(store(), BATCH, seed=0, epoch=0):
        pass


@cache
def step() -> Any:
    """A training step of the default U-Net on one batch of such crops."""
    config = make_config("unet", {"channels": 1, "classes": 2})
    model = build("unet", config, rng_for(0, "init"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch = store().batch(range(BATCH))

    def one() -> None:
        optimizer.zero_grad()
        model.objective(batch, 0, rng_for(0, "step")).total.backward()
        optimizer.step()

    return one


def benches() -> list[Bench]:
    """The rows on LIDC-IDRI."""
    return [
        Bench(
            name=f"crops of a scan of {len(scan().positions_mm)} slices, from its volume",
            ours=ours,
            peer=naive,
            peer_name="pylidc's consensus nodule by nodule",
            at_most=0.5,
            check=same_crops,
        ),
        Bench(
            name=f"load an epoch of {CROPS:,} crops of {SIDE} x {SIDE}, batches of {BATCH}",
            ours=epoch,
            peer=lambda: step()(),
            peer_name="training steps of the default U-Net",
            at_most=0.05,
            peer_share=BATCH / CROPS,
        ),
    ]
