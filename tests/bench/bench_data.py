"""Loading crops: batches from a store against a dataset that lists its folders and decodes three files per item.

The peer is written here after the way public code for this layout reads it: each item lists and sorts three folders,
takes the entry at its index, and decodes scan, raters and consensus. Its cost per item grows with the number of
files; ours must not. Files are synthetic: crops of 64 x 64 pixels, four raters.
"""

from __future__ import annotations

import atexit
import dataclasses
import glob
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from labutils.data import catalog
from labutils.data.loading import all_batches, epoch_batches
from labutils.data.store import Store, open_store, write_store
from tests.bench.timing import Bench

ITEMS, GROWN, SIZE, RATERS, BATCH = 570, 5700, 64, 4, 5
PEER_ITEMS = 10  # of an epoch, two batches
FOLDERS = ("scans", "masks/annots", "masks/GT")


def slice_name(i: int) -> str:
    """The file name of slice `i`; names sort as numbers do."""
    return f"pid_{i // 10:04d}_nod_0_slice_{i % 10}.tif"


@cache
def work_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bench-data-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def crops(items: int) -> Path:
    """A dataset folder of synthetic slices; beyond `ITEMS`, further names for the same files."""
    import tifffile

    root, rng = work_folder() / f"crops-{items}", np.random.default_rng(0)
    for name in FOLDERS:
        (root / "train" / name).mkdir(parents=True)
    for i in range(items):
        if i < ITEMS:
            masks = rng.random((1, SIZE, SIZE, RATERS)) < 0.3
            arrays = (rng.normal(size=(1, SIZE, SIZE)), masks, masks.mean(axis=-1) >= 0.5)
            for name, array in zip(FOLDERS, arrays, strict=True):
                tifffile.imwrite(root / "train" / name / slice_name(i), array)
        else:
            for name in FOLDERS:
                os.link(crops(ITEMS) / "train" / name / slice_name(i % ITEMS), root / "train" / name / slice_name(i))
    return root


@cache
def store(items: int) -> Store:
    """The same slices as a store mapped from disk; beyond `ITEMS`, repeats of them."""
    if items == ITEMS:
        with mock.patch.dict(os.environ, LABUTILS_CACHE=str(work_folder() / "cache")):
            return catalog.load("lidc-crops", "train", root=crops(items))
    base, times = store(ITEMS), items // ITEMS
    arrays = {
        name: np.concatenate([getattr(base, name)] * times) for name in ("image", "masks", "present", "spacing_mm")
    }
    cases = tuple(f"{case}-{i}" for i in range(times) for case in base.cases)
    write_store(
        work_folder() / "grown", dataclasses.replace(base, **arrays, patients=base.patients * times, cases=cases)
    )
    return open_store(work_folder() / "grown")


def peer_item(root: Path, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One item the way the peer reads it: three listings, three decodes."""
    import tifffile

    scans, annots, consensus = (sorted(glob.glob(str(root / "train" / name / "*.tif"))) for name in FOLDERS)
    scan = tifffile.imread(scans[index]).astype(np.float32)
    masks = tifffile.imread(annots[index]).transpose(3, 0, 1, 2).astype(np.float32)
    return scan, masks, tifffile.imread(consensus[index]).astype(np.float32)


def peer_batches(items: int) -> None:
    """`PEER_ITEMS` items in batches, each stacked into tensors."""
    root = crops(items)
    for first in range(0, PEER_ITEMS, BATCH):
        read = [peer_item(root, index) for index in range(first, first + BATCH)]
        for part in zip(*read, strict=True):
            torch.from_numpy(np.stack(part))


def epoch(items: int) -> None:
    """One epoch of ours: order, gather and symmetries."""
    for _ in epoch_batches(store(items), BATCH, seed=0, epoch=0):
        pass


def images_one_by_one() -> None:
    """Every image, one at a time, from the map."""
    images = store(ITEMS).image
    for i in range(ITEMS):
        images[i].copy()


def decoded_one_by_one() -> None:
    """`PEER_ITEMS` images, one file at a time."""
    import tifffile

    folder = crops(ITEMS) / "train" / "scans"
    for i in range(PEER_ITEMS):
        tifffile.imread(folder / slice_name(i))


def same_content() -> None:
    """Both give the same cases: the scan after its fixed mapping, and the raters bit for bit."""
    batch = next(all_batches(store(ITEMS), PEER_ITEMS))
    for i in range(PEER_ITEMS):
        scan, masks, _ = peer_item(crops(ITEMS), i)
        np.testing.assert_allclose(batch.image[i], (np.clip(scan, -3, 6) + 3) / 9, atol=1e-6)
        np.testing.assert_array_equal(batch.masks[i], masks[:, 0])


def benches() -> list[Bench]:
    """The rows of the data room; files and stores are made when the first of them runs."""
    naive = "three listings and decodes per item"
    return [
        Bench(
            name=f"load an epoch of {items} crops, batches of {BATCH}",
            ours=lambda items=items: epoch(items),
            peer=lambda items=items: peer_batches(items),
            peer_name=naive,
            at_most=1 / 200,
            peer_share=PEER_ITEMS / items,
            check=same_content,
        )
        for items in (ITEMS, GROWN)
    ] + [
        Bench(
            name="load: cost per crop at 10 times the crops",
            ours=lambda: epoch(GROWN),
            peer=lambda: epoch(ITEMS),
            peer_name="ours at 570 crops",
            at_most=1.2,
            peer_share=ITEMS / GROWN,
            turns=9,
        ),
        Bench(
            name="decode: image after image from the map",
            ours=images_one_by_one,
            peer=decoded_one_by_one,
            peer_name="TIFF per image",
            at_most=1 / 50,
            peer_share=PEER_ITEMS / ITEMS,
            check=same_content,
        ),
    ]
