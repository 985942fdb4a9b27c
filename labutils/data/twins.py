"""Twins: procedural stand-ins for datasets that must be fetched, so that everything runs without them.

A twin is a folder with the files, names, shapes, types, value ranges, numbers of raters and quirks of the public
original, so the dataset's own reader reads it. Its pixels are procedural, or those of other digits, so no result on
it says anything about the original: a file ``TWIN.json`` marks the folder, and its stores have the source "twin".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from labutils.core.checks import ConfigError, DataError, require, require_choice
from labutils.core.files import new_folder, write_json
from labutils.core.runtime import cache_root
from labutils.data import catalog, twin_cells, twin_digits, twin_lesions, twin_lidc
from labutils.data.lidc_scans import SCANS
from labutils.data.prepared import TWIN_FILE
from labutils.data.store import Store

VERSION = 1  # raise it when the same request would give other files


class Twin(NamedTuple):
    """How the twin of one dataset, or of one form of it, is written."""

    write: Callable[[Path, Mapping[str, int], int], None]  # into an empty folder: cases of each part, seed
    original: Mapping[str, int]  # cases of each part of the public original; a twin has the same shares
    cases: int = 120  # where nobody says how many


# By dataset and form; the first form is what is written where none is named. A new twin is a function and a line here.
TWINS: dict[str, dict[str, Twin]] = {
    "bubil-crowd-4": {"": Twin(twin_cells.write_crowd_4, {"images": 61}, cases=61)},
    "bubil-crowd-6": {"": Twin(twin_cells.write_crowd_6, {"images": 35}, cases=35)},
    "bubil-experts": {"": Twin(twin_cells.write_experts, {"images": 25}, cases=25)},
    "digit-annotators": {"": Twin(twin_digits.write_idx_digits, {"train": 60_000, "t10k": 10_000})},
    "lidc-crops": {"": Twin(twin_lidc.write_crops, {"train": 570, "validate": 114})},
    # no dataset of its own: labutils data prepare-lidc makes lidc-crops, lidc-crops-hu and lidc-four of it
    "lidc-dicom": {"": Twin(twin_lidc.write_dicom, {"scans": SCANS}, cases=4)},
    "lidc-four": {
        "crops": Twin(twin_lidc.write_four_crops, {"train": 8843, "validate": 1993, "test": 1980}),
        "slices": Twin(twin_lidc.write_four_slices, {"train": 19}),
    },
    "mnist-annotators": {"": Twin(twin_digits.write_tiff_digits, {"train": 101, "validate": 21})},
    "stapler-lesions": {"": Twin(twin_lesions.write_lesions, {"volumes": 1}, cases=1)},
}


def make_twin(
    name: str, folder: str | Path, *, cases: int | None = None, seed: int = 0, form: str | None = None
) -> dict[str, int]:
    """Write the twin of a dataset, whole or not at all; the same request gives the same bytes.

    Args:
        name: a key of `TWINS`.
        folder: a new folder.
        cases: of all parts together, at least one for each; dealt in the shares of the original. None takes a number
            that is enough to try everything.
        seed: another seed gives other cases.
        form: of a dataset that has several; None takes the first.
    Returns:
        The cases of each part.
    Raises:
        ConfigError: the dataset has no twin or no such form, or `cases` is too small or too large for it.
        DataError: the folder exists, or a package that draws the cases is not installed.
    """
    require_choice("twin", name, tuple(TWINS))
    forms = TWINS[name]
    form = next(iter(forms)) if form is None else form
    require_choice(f"form of {name}", form, tuple(forms))
    twin = forms[form]
    counts = deal(twin.cases if cases is None else cases, twin.original)
    with new_folder(folder) as building:
        twin.write(building, counts, seed)
        what = "a stand-in, not the public files; no result on it says anything about them"
        record = {"twin_of": name, "form": form, "cases": counts, "seed": seed, "version": VERSION, "what": what}
        write_json(building / TWIN_FILE, record)
    return counts


def deal(cases: int, original: Mapping[str, int]) -> dict[str, int]:
    """How many of `cases` each part gets: the share it has of the original, but one or more; the first takes the rest.

    Raises:
        ConfigError: there are fewer cases than parts.
    """
    require(cases >= len(original), f"cases is {cases}; wanted {len(original)} or more", ConfigError)
    first, *others = original
    rest, total = cases, sum(original.values())
    counts = {}
    for i, part in enumerate(others):
        counts[part] = min(max(1, round(cases * original[part] / total)), rest - (len(others) - i))
        rest -= counts[part]
    return {first: rest, **counts}


def or_twin(name: str, split: str, *, limit: int | None = None) -> Store:
    """One split of a dataset where there is a copy of it, and of its twin elsewhere, so that a page always runs.

    The twin is written once, into the cache. The store's ``source`` says which of the two it is; nothing found on a
    twin is said of the dataset.

    Args:
        name: a key of `TWINS` and of the catalog.
        split: one of the card's splits.
        limit: the most cases wanted, 1 or more; a twin has fewer than the dataset.
    Raises:
        ConfigError: there is no such twin, dataset or split, or `limit` is below 1.
        DataError: there is no copy, and the packages that draw the twin are not installed; or a copy is damaged.
    """
    require_choice("twin", name, tuple(TWINS))
    if any(found for _, found in catalog.searched(name)):
        return catalog.load(name, split, limit=limit)
    folder = cache_root() / "twins" / f"{name}-{VERSION}"
    if not folder.exists():
        try:
            make_twin(name, folder)
        except (DataError, OSError):
            if not folder.exists():  # else another process was faster, and wrote the same bytes
                raise
    return catalog.load(name, split, root=folder, limit=limit)
