"""Verifying a dataset: every split is read afresh and compared with the one that was published."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from labutils.consensus.odd_raters import odd_sentences
from labutils.core.checks import LabutilsError
from labutils.core.words import quantity
from labutils.data import catalog
from labutils.data.prepared import RECORD, read_again, source_of
from labutils.data.store import Store


class Verified(NamedTuple):
    """What is said of one split."""

    split: str
    facts: str  # cases, patients, raters, source, and raters who drew elsewhere; "" where the split cannot be read
    fault: str  # one sentence; "" where there is none


def verify(name: str, root: str | Path | None = None) -> list[Verified]:
    """Read every split of a dataset that has files, from the files and not from the cache.

    A split has a fault where it cannot be read, or where it is not the one whose manifest the card gives; what was
    prepared here, from DICOM files or as a twin, is compared with no manifest.

    Args:
        name: a dataset of the catalog.
        root: as for `labutils.data.catalog.load`.
    Returns:
        One entry a split, in the card's order.
    Raises:
        ConfigError: there is no such dataset.
        DataError: no folder was named and none was found, or it has no files for any split.
    """
    card = catalog.card(name)
    splits = catalog.available(name, root)
    if not splits:
        catalog.load(name, card.splits[0], root=root)  # the reader's refusal says what the folder should hold
    folder = next((folder for folder, found in catalog.searched(name, root) if found), None)
    ours = folder is not None and ((folder / RECORD).is_file() or source_of(folder) == "twin")
    published = {} if ours else dict(card.manifests)
    with read_again():
        return [_verified(name, split, root, published.get(split)) for split in splits]


def _verified(name: str, split: str, root: str | Path | None, published: str | None) -> Verified:
    try:
        store = catalog.load(name, split, root=root)
    except LabutilsError as error:
        return Verified(split, "", str(error))
    same = store.manifest == published
    told = "no manifest is published" if published is None else "equal to the published split" if same else ""
    fault = f"its manifest is {store.manifest}, not {published} as published: some files are others, more or fewer"
    odd = odd_sentences(torch.from_numpy(store.masks), torch.from_numpy(store.present))
    facts = "; ".join([f"{_counts(store)}, {store.source}", *([told] if told else []), *odd])
    return Verified(split, facts, "" if told else fault)


def _counts(store: Store) -> str:
    raters = store.present.sum(axis=1)
    least, most = int(raters.min()), int(raters.max())
    drawn = f"{quantity(most, 'rater')} each" if least == most else f"{least} to {most} raters"
    patients = len(set(store.patients))
    return f"{quantity(len(store), 'case')} of {quantity(patients, 'patient')}, {drawn if most else 'no raters'}"
