"""The cases a training learns from and those that choose its best epoch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from labutils.core.checks import ConfigError, DataError, require
from labutils.core.words import quantity
from labutils.data import catalog
from labutils.data.crop import middle
from labutils.data.splits import assert_disjoint, cross_validation
from labutils.data.store import Store

HELD_OUT = 5  # one patient in so many
HELD_SPLIT = "held-out"  # what --split calls the patients of "train" that a run held out
SPLIT_SEED = 0  # not the seed of the training: runs that differ in it are compared on the same patients


class Stores(NamedTuple):
    """Two stores that share no patient."""

    train: Store
    validate: Store


def training_stores(name: str, root: Path | None, limit: int | None, crop_px: int = 0) -> Stores:
    """The splits "train" and "validate" of a dataset.

    Where "validate" has no files, or no masks, a fifth of the patients of "train" is held out in its place, the same
    ones whatever the settings of the training are.

    Args:
        name: of the dataset, or the path of somebody's own folder.
        root: its folder or the folder's parent, as for `labutils.data.catalog.load`.
        limit: the most cases of each split.
        crop_px: side of the windows to learn from; those to choose on are cut to the middle. 0: whole images.
    Raises:
        ConfigError: no such dataset.
        InputError: windows do not fit in the images.
        DataError: files are missing or damaged, the training cases have no masks, a patient is in both splits, or
            there is one patient only and nobody to hold out.
    """
    train = catalog.load(name, "train", root=root, limit=limit)
    require(train.labeled, f"{train.card.name}/train has no masks to learn from", DataError)
    if "validate" in catalog.available(name, root):
        validate = catalog.load(name, "validate", root=root, limit=limit)
        if validate.labeled:
            assert_disjoint({"train": train, "validate": validate})
            return Stores(train, middle(validate, crop_px))
    kept, held = hold_out(train)
    return Stores(kept, middle(held, crop_px))


def hold_out(store: Store) -> Stores:
    """A fifth of a store's patients, at least one, apart from the others.

    Raises:
        DataError: there is one patient only.
    """
    patients = len(set(store.patients))
    where = f"{store.card.name}/{store.split}"
    require(patients >= 2, f"{where} has cases of one patient only and there is no validate split", DataError)
    kept, held = cross_validation(store.patients, min(HELD_OUT, patients), SPLIT_SEED)[0]
    return Stores(
        replace(store.subset(kept), split=f"{store.split}, patients not held out"),
        replace(store.subset(held), split=f"{store.split}, patients held out"),
    )


def held_out_store(name: str, root: Path | None, chosen: Collection[str], limit: int | None) -> Store:
    """The cases of "train" that a run held out and was chosen on.

    Args:
        name: as for `training_stores`.
        root: as for `training_stores`.
        chosen: ids of the cases the run was chosen on.
        limit: the most cases.
    Raises:
        ConfigError: the run held out no case of the dataset's "train".
        DataError: files are missing or damaged.
    """
    train = catalog.load(name, "train", root=root)
    held = [i for i, case in enumerate(train.cases) if case in chosen][:limit]
    require(
        held,
        f"the run held out no patients of {train.card.name}/train; wanted --split {' or '.join(train.card.splits)}",
        ConfigError,
    )
    return replace(train.subset(held), split=f"{train.split}, patients held out")


def counted(store: Store) -> str:
    """How much a store holds, for a person."""
    patients = quantity(len(set(store.patients)), "patient")
    return f"{quantity(len(store), 'case')} of {patients} from {store.card.name}/{store.split}"
