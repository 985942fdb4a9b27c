"""The catalog: datasets by name, where their files are looked for, and one function that loads any of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from labutils.core.checks import ConfigError, DataError, require, require_choice
from labutils.core.runtime import data_root, variables
from labutils.data.cards import Card
from labutils.data.store import Store


def _has_folder(folder: Path, split: str) -> bool:
    return (folder / split).is_dir()


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a dataset's module offers as ``DATASET``, or one of several under its name in ``DATASETS``.

    ``load(split, folder, limit)`` gives the store; `limit` is the most cases wanted, or None for all. `folder` is None
    for a dataset that needs no files: without ``folders``, or ``embedded`` and none found. A folder that a person named
    is passed on even where ``found`` is False, so that ``load`` can say what is wrong with it.
    """

    card: Card
    load: Callable[[str, Path | None, int | None], Store]
    folders: tuple[str, ...] = ()  # names the dataset's folder goes by under the folder of all data
    found: Callable[[Path], bool] = Path.is_dir  # whether a folder looks like this dataset
    holds: Callable[[Path, str], bool] = _has_folder  # whether such a folder has files for a split
    embedded: bool = False  # with folders: whether there are cases where no folder is named or found, too
    place: Path | None = None  # of somebody's own folder: the folder itself, which is then looked for nowhere else
    # puts maps, named as the given cases, back into volumes beside them and gives these; None: cases are no planes
    join_maps: Callable[[Path, Collection[str]], list[Path]] | None = None


# A module has its record as DATASET, or records by name as DATASETS.
_MODULES = {
    "bubil-crowd-4": "labutils.data.bubil_crowd_4",
    "bubil-crowd-6": "labutils.data.bubil_crowd_6",
    "bubil-experts": "labutils.data.bubil_experts",
    "digit-annotators": "labutils.data.digit_annotators",
    "digits-bad": "labutils.data.digit_raters",
    "digits-exact": "labutils.data.digit_raters",
    "digits-noisy": "labutils.data.digit_raters",
    "lidc-crops": "labutils.data.lidc_crops",
    "lidc-crops-hu": "labutils.data.lidc_crops_hu",
    "lidc-four": "labutils.data.lidc_four",
    "lidc-raters": "labutils.data.lidc_raters",
    "mnist-annotators": "labutils.data.mnist_annotators",
    "planted-four-modes": "labutils.data.planted_sets",
    "planted-global": "labutils.data.planted_sets",
    "planted-global-one": "labutils.data.planted_sets",
    "planted-pixel": "labutils.data.planted_sets",
    "planted-shared": "labutils.data.planted_sets",
    "planted-styles": "labutils.data.planted_sets",
    "planted-two-modes": "labutils.data.planted_sets",
    "stapler-lesions": "labutils.data.stapler",
}


def names() -> tuple[str, ...]:
    """The names of all datasets, sorted."""
    return tuple(sorted(_MODULES))


def is_own_folder(name: str) -> bool:
    """Whether `name` means somebody's own folder: it has a path separator, or is a folder and not in the catalog."""
    return os.sep in name or "/" in name or (name not in names() and Path(name).is_dir())


def dataset(name: str) -> Dataset:
    """The record of the dataset called `name`; its module is imported on first use.

    Args:
        name: one of `names`, or the path of a folder laid out as in `labutils.data.own_files`. A folder called as a
            dataset of the catalog must be given with a separator, such as ``./lidc-crops``.
    Raises:
        ConfigError: there is no such dataset.
        DataError: `name` is a path, and there is no such folder, or its names or tables are at fault.
    """
    if is_own_folder(name):
        from labutils.data.own import own_dataset

        return own_dataset(name)
    known = ", ".join(names())
    require(name in names(), f"dataset is {name!r}; wanted one of {known}, or the path of your own folder", ConfigError)
    module = import_module(_MODULES[name])
    record: Dataset = module.DATASETS[name] if hasattr(module, "DATASETS") else module.DATASET
    return record


def card(name: str) -> Card:
    """The card of the dataset called `name`.

    Raises:
        ConfigError: there is no such dataset.
    """
    return dataset(name).card


def load(name: str, split: str, *, root: str | Path | None = None, limit: int | None = None) -> Store:
    """One split of a dataset.

    Args:
        name: one of `names`, or the path of somebody's own folder, as for `dataset`.
        split: one of the card's splits.
        root: the dataset's folder or its parent; None looks under `labutils.core.runtime.data_root`. Refused for a
            dataset that is made from nothing, and beside a path.
        limit: the most cases wanted, 1 or more; the first ones in the dataset's order.
    Raises:
        ConfigError: the dataset or the split is unknown, `limit` is below 1, or a root was given that is not read.
        DataError: the files are missing or damaged.
    """
    record = dataset(name)
    require_choice(f"split of {record.card.name}", split, record.card.splits)
    require(limit is None or limit >= 1, f"limit is {limit}; wanted 1 or more", ConfigError)
    return record.load(split, _folder(record, root), limit)


def available(name: str, root: str | Path | None = None) -> tuple[str, ...]:
    """The splits that have a folder of files, in the card's order; all splits of a dataset that needs no files.

    Args:
        name: as for `load`.
        root: as for `load`.
    Raises:
        ConfigError: there is no such dataset, or a root was given that is not read.
        DataError: no folder was named and none was found.
    """
    record = dataset(name)
    folder = _folder(record, root)
    if folder is None or record.place is not None:
        return record.card.splits
    return tuple(split for split in record.card.splits if record.holds(folder, split))


def searched(name: str, root: str | Path | None = None) -> list[tuple[Path, bool]]:
    """The folders `load` looks in, in order, each with whether the dataset was found there; [] if it needs none.

    Raises:
        ConfigError: there is no such dataset, or a root was given that is not read.
    """
    return _searched(dataset(name), root)


def _searched(record: Dataset, root: str | Path | None) -> list[tuple[Path, bool]]:
    if record.place is not None:
        told = f"root is {root}, and {record.place} names a folder already; wanted one of them"
        require(root is None, told, ConfigError)
        return [(record.place, True)]
    if not record.folders:
        told = f"root is {root}, and {record.card.name} is made here and reads no files; wanted no root"
        require(root is None, told, ConfigError)
        return []
    base = Path(root).expanduser() if root is not None else data_root()
    candidates = [*(base / folder for folder in record.folders), base]
    return [(folder, record.found(folder)) for folder in candidates]


def places(folders: Iterable[object]) -> str:
    """Folders that were searched where none was named, for a person."""
    return ", ".join(map(str, folders)) + ("" if variables().get("LABUTILS_DATA") else ", as LABUTILS_DATA is not set")


def _folder(record: Dataset, root: str | Path | None) -> Path | None:
    looked = _searched(record, root)
    for folder, found in looked:
        if found:
            return folder
    if not record.folders:
        return None
    if root is not None:
        return Path(root).expanduser()  # the reader's own refusal says more than "not found"
    if record.embedded:
        return None
    where = places(folder for folder, _ in looked)
    raise DataError(f"{record.card.name} was not found (looked in: {where}); {record.card.how_to_get}")
