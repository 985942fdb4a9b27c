"""The catalog: datasets by name, where their files are looked for, and one function that loads any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from labutils.core.checks import ConfigError, DataError, require, require_choice
from labutils.core.runtime import data_root
from labutils.data.cards import Card
from labutils.data.store import Store


def _has_folder(folder: Path, split: str) -> bool:
    return (folder / split).is_dir()


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a dataset's module offers as ``DATASET``.

    ``load(split, folder, limit)`` gives the store; `limit` is the most cases wanted, or None for all. `folder` is None
    for a dataset that needs no files: without ``folders``, or ``embedded`` and none found. A folder that a person named
    is passed on even where ``found`` is False, so that ``load`` can say what is wrong with it.
    """

    card: Card
    load: Callable[[str, Path | None, int | None], Store]
    folders: tuple[str, ...] = ()  # names the dataset's folder goes by under LABUTILS_DATA
    found: Callable[[Path], bool] = Path.is_dir  # whether a folder looks like this dataset
    holds: Callable[[Path, str], bool] = _has_folder  # whether such a folder has files for a split
    embedded: bool = False  # with folders: whether there are cases where no folder is named or found, too


_MODULES = {
    "bubil-crowd-4": "labutils.data.bubil_crowd_4",
    "bubil-crowd-6": "labutils.data.bubil_crowd_6",
    "bubil-experts": "labutils.data.bubil_experts",
    "digit-annotators": "labutils.data.digit_annotators",
    "lidc-crops": "labutils.data.lidc_crops",
    "lidc-crops-hu": "labutils.data.lidc_crops_hu",
    "lidc-four": "labutils.data.lidc_four",
    "lidc-raters": "labutils.data.lidc_raters",
    "mnist-annotators": "labutils.data.mnist_annotators",
    "stapler-lesions": "labutils.data.stapler",
}


def names() -> tuple[str, ...]:
    """The names of all datasets, sorted."""
    return tuple(sorted(_MODULES))


def dataset(name: str) -> Dataset:
    """The record of the dataset called `name`; its module is imported on first use.

    Raises:
        ConfigError: there is no such dataset.
    """
    require_choice("dataset", name, names())
    return import_module(_MODULES[name]).DATASET


def card(name: str) -> Card:
    """The card of the dataset called `name`.

    Raises:
        ConfigError: there is no such dataset.
    """
    return dataset(name).card


def load(name: str, split: str, *, root: str | Path | None = None, limit: int | None = None) -> Store:
    """One split of a dataset.

    Args:
        name: one of `names`.
        split: one of the card's splits.
        root: the dataset's folder or its parent; None looks under ``LABUTILS_DATA``. Without meaning for a dataset
            that needs no files.
        limit: the most cases wanted, 1 or more; the first ones in the dataset's order.
    Raises:
        ConfigError: the dataset or the split is unknown, or `limit` is below 1.
        DataError: the files are missing or damaged.
    """
    record = dataset(name)
    require_choice(f"split of {name}", split, record.card.splits)
    require(limit is None or limit >= 1, f"limit is {limit}; wanted 1 or more", ConfigError)
    return record.load(split, _folder(record, root) if record.folders else None, limit)


def available(name: str, root: str | Path | None = None) -> tuple[str, ...]:
    """The splits that have a folder of files, in the card's order; all splits of a dataset that needs no files.

    Args:
        name: one of `names`.
        root: as for `load`.
    Raises:
        ConfigError: there is no such dataset.
        DataError: no folder was named and none was found.
    """
    record = dataset(name)
    folder = _folder(record, root) if record.folders else None
    if folder is None:
        return record.card.splits
    return tuple(split for split in record.card.splits if record.holds(folder, split))


def searched(name: str, root: str | Path | None = None) -> list[tuple[Path, bool]]:
    """The folders `load` looks in, in order, each with whether the dataset was found there; [] if it needs none.

    Raises:
        ConfigError: there is no such dataset.
    """
    record = dataset(name)
    base = Path(root).expanduser() if root is not None else data_root()
    if base is None or not record.folders:
        return []
    candidates = [*(base / folder for folder in record.folders), base]
    return [(folder, record.found(folder)) for folder in candidates]


def _folder(record: Dataset, root: str | Path | None) -> Path | None:
    looked = searched(record.card.name, root)
    for folder, found in looked:
        if found:
            return folder
    if root is not None:
        return Path(root).expanduser()  # the reader's own refusal says more than "not found"
    if record.embedded:
        return None
    places = ", ".join(str(folder) for folder, _ in looked) or "nowhere, as LABUTILS_DATA is not set"
    raise DataError(f"{record.card.name} was not found (looked in: {places}); {record.card.how_to_get}")
