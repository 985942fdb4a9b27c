"""Seven crowd masks for each small crop around an object: what datasets 4 and 6 of BU-BIL share.

The crops differ in size, so they are padded with zeros below and to the right to the largest of their dataset.

The gold standard is drawn in the full frame at a place that is not given, so it is no truth for the crops. It tells,
however, which images show one place of the frame: in a time lapse the same cell, in a stack of slices the same vessel.
Images whose gold objects share a pixel, directly or through others, are therefore one patient, named by the first of
them: no model is tested on a cell that it has seen an hour earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from labutils.core.checks import DataError, require
from labutils.data import bubil
from labutils.data.bubil import ImageFiles
from labutils.data.cards import Card
from labutils.data.catalog import Dataset
from labutils.data.prepared import files_key, prepared_store, require_folder, source_of
from labutils.data.sizes import largest_size, pad_to_size
from labutils.data.splits import split_by_patient
from labutils.data.store import Source, Store

READER_VERSION = 1  # raise it when the same files would give another store
SLOTS = 7
RATERS = "7 crowd workers per image, in slots that are not the same worker from image to image"
QUIRKS = (
    "Crops differ in size: they are padded with zeros below and to the right, and padding counts as background.",
    "Each crop is about twice as large as the object's bounding box and centered on it, so it tells where to look.",
    "There is no truth: the gold standard lies in the full frame, at a place that is not given for the crop.",
    "Images whose gold objects overlap in the full frame count as one patient: they show one place again and again.",
)


class _Deal(NamedTuple):
    """How patients are dealt into splits."""

    fractions: Mapping[str, float]
    seed: int


def crowd_dataset(number: int, card: Card, fractions: Mapping[str, float], seed: int = 0) -> Dataset:
    """The record for the catalog of one of the datasets.

    Args:
        number: of the dataset in the original.
        card: its card.
        fractions: the share of patients of each split, by name, as for `labutils.data.splits.split_by_patient`.
        seed: of the splits.
    """

    def found(folder: Path) -> bool:
        return (bubil.dataset_folder(folder, number) / "CrowdsourcedAnnotations").is_dir()

    def holds(folder: Path, split: str) -> bool:
        return split in fractions  # every split is dealt from the same files

    load = partial(_load, number, card, _Deal(dict(fractions), seed))
    return Dataset(card=card, load=load, folders=bubil.FOLDERS, found=found, holds=holds)


def _load(number: int, card: Card, deal: _Deal, split: str, root: Path | None, limit: int | None = None) -> Store:
    root = require_folder(root, card)
    slots = [f"CrowdsourcedAnnotations/mturk_annotation{number}-{slot + 1}" for slot in range(SLOTS)]
    files = bubil.find_files(root, number, slots)
    paths = [path for one in files for path in (one.image, *one.masks, one.gold)]
    key = files_key(root, paths, READER_VERSION, card, deal)
    return prepared_store(
        f"{card.name}-{split}", key, lambda: _read_split(card, deal, split, files, source_of(root))
    ).first(limit)


def _read_split(card: Card, deal: _Deal, split: str, files: Sequence[ImageFiles], source: Source) -> Store:
    patients = same_place(files)
    chosen = split_by_patient(patients, *deal)[split]
    folder = files[0].image.parent
    require(chosen, f"{folder} holds {len(files)} images and none falls into the split {split!r}", DataError)
    images = [bubil.read_image(one.image) for one in files]
    size = largest_size((height, width) for height, width in (image.shape for image in images))
    masks = [pad_to_size(bubil.read_masks(files[i], images[i].shape), size) for i in chosen]
    return Store(
        image=np.stack([pad_to_size(images[i], size) for i in chosen])[:, None],
        masks=np.stack(masks),
        present=np.ones((len(chosen), SLOTS), bool),
        spacing_mm=np.ones((len(chosen), 2)),
        patients=tuple(patients[i] for i in chosen),
        cases=tuple(files[i].name for i in chosen),
        card=card,
        split=split,
        source=source,
    )


def same_place(files: Sequence[ImageFiles]) -> list[str]:
    """For each image the name of the first one at its place: those whose gold objects share a pixel or are so linked.

    Raises:
        DataError: a gold standard is damaged, empty, or of another size than the first; the text names it.
    """
    pixels: list[np.ndarray] = []
    size: tuple[int, ...] = ()
    for one in files:
        gold = bubil.read_mask(one.gold)
        size = size or gold.shape
        fits = gold.shape == size
        require(fits, f"{one.gold} has {gold.shape} pixels and others {size}; wanted one frame", DataError)
        require(gold.any(), f"{one.gold} is empty; wanted the place of the object", DataError)
        pixels.append(np.flatnonzero(gold))
    rows = np.repeat(np.arange(len(files)), [len(one) for one in pixels])
    columns = np.concatenate(pixels)
    held = csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=(len(files), int(np.prod(size))))
    _, places = connected_components(held @ held.T, directed=False)
    first = {place: i for i, place in reversed(list(enumerate(places.tolist())))}
    return [files[first[place]].name for place in places.tolist()]
