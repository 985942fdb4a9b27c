"""Anybody's own folder as a dataset: images, a folder of masks for each rater, and optionally a table and a card.

The layout is in `labutils.data.own_files`. The folder is read and checked once, every split of it, and then kept as
memory-mapped stores in the cache; nothing is ever written into it. Of volumes every plane becomes a case, from the
feet to the head, seen as an axial slice; all planes are of the volume's patient.

Names of files are ids and stay as they are. What else could name a person (text and tags inside of files, header
fields, paths) is not copied into stores, errors or logs. This is no tool for de-identification: it does not look at
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from labutils.core.checks import require_choice
from labutils.core.files import sha256_of_bytes
from labutils.data.catalog import Dataset
from labutils.data.findings import Findings
from labutils.data.own_cases import Taken, read_cases
from labutils.data.own_files import OwnFolder, list_folder
from labutils.data.own_volumes import join_maps
from labutils.data.prepared import files_key, prepared_store
from labutils.data.sizes import largest_size, pad_to_size
from labutils.data.store import Store

READER_VERSION = 1  # raise it when the same files would give another store


def own_dataset(folder: str | Path) -> Dataset:
    """The record of a folder, as the catalog has one for each dataset; reads names and tables, and no pixels.

    Raises:
        DataError: there is no such folder, or its names or tables are at fault; the text is the first fault.
    """
    root = Path(folder).expanduser()
    listed = list_folder(root, Findings(root, strict=True))
    return Dataset(
        card=listed.card,
        load=lambda split, _, limit: load_own(root, split, limit),
        place=root,
        join_maps=partial(join_maps, listed),
    )


def load_own(folder: str | Path, split: str, limit: int | None = None) -> Store:
    """One split of a person's own folder.

    Where no table gives splits, patients are dealt by the hash of their names, 60 % to train, 20 % to validate and
    20 % to test. Smaller images are padded below and to the right with zeros to the largest of the folder.

    Args:
        folder: laid out as in `labutils.data.own_files`.
        split: "train", "validate" or "test", if it has cases.
        limit: the most cases wanted, 1 or more; the first ones by name; None for all.
    Returns:
        A memory-mapped store, sorted by name; raters in the order of their names; a rater without a file for a case
        is not present; source "your copy"; the card is the folder's own.
    Raises:
        ConfigError: the split has no cases.
        DataError: anything in the folder is at fault, in whichever split; the text is the first fault.
    """
    root = Path(folder).expanduser()
    findings = Findings(root, strict=True)
    listed = list_folder(root, findings)
    card = listed.card
    require_choice(f"split of {card.name}", split, card.splits)
    key = sha256_of_bytes(files_key(root, listed.files, READER_VERSION, card).encode())

    def make() -> Store:
        stores = _stores(listed, list(read_cases(listed, findings)))
        for other in (other for other in card.splits if other != split):
            prepared_store(f"{card.name}-{other}", key, partial(stores.pop, other))
        return stores[split]

    return prepared_store(f"{card.name}-{split}", key, make).first(limit)


def _stores(folder: OwnFolder, images: Sequence[Taken]) -> dict[str, Store]:
    size = largest_size([(one.image.shape[-2], one.image.shape[-1]) for one in images])
    return {
        split: _store(folder, split, [one for one in images if one.case.split == split], size)
        for split in folder.card.splits
    }


def _store(folder: OwnFolder, split: str, images: Sequence[Taken], size: tuple[int, int]) -> Store:
    truths = [pad_to_size(one.truth, size) for one in images if one.truth is not None]
    planes = [len(one.ids) for one in images]
    return Store(
        image=np.concatenate([pad_to_size(one.image, size) for one in images]),
        masks=np.concatenate([pad_to_size(one.masks, size).swapaxes(0, 1) for one in images]),
        present=np.repeat([one.present for one in images], planes, axis=0),
        truth=np.concatenate(truths) if truths else None,
        spacing_mm=np.repeat([one.spacing_mm or (1.0, 1.0) for one in images], planes, axis=0).astype(np.float64),
        patients=tuple(one.case.patient for one in images for _ in one.ids),
        cases=tuple(case for one in images for case in one.ids),
        card=folder.card,
        split=split,
        source="your copy",
    )
