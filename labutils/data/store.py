"""Stores: equally sized 2D cases as a few arrays, in memory or mapped from disk, with constant cost per case.

A store on disk is a folder with one ``.npy`` file per array and ``index.json``, which records each file's dtype,
shape and length. The folder is built under a temporary name and renamed, so a store is whole or absent.

Raters are padded to the most any case has: ``present`` tells a padded or missing rater (False) from one who judged
the case and drew nothing (True, empty mask). A store without masks (images only) has R = 1 and ``present`` all False;
no store mixes cases with and without raters.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from labutils.core.checks import (
    DataError,
    InputError,
    LabutilsError,
    require,
    require_choice,
    require_shape,
    require_unit_range,
)
from labutils.core.config import from_dict, to_dict
from labutils.core.files import names_file, read_json, write_json
from labutils.core.types import Batch, Case
from labutils.data.cards import Card

Source = Literal["your copy", "embedded", "twin", "memory"]
VERSION = 1  # of the layout on disk
DTYPES = {
    "image": np.dtype(np.float32),
    "masks": np.dtype(np.uint8),
    "present": np.dtype(bool),
    "truth": np.dtype(np.uint8),
    "spacing_mm": np.dtype(np.float64),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Store:
    """N cases of equal size; N is at least 1, and case ids are unique.

    ``source`` is where the pixels come from: a copy on the user's disk, files inside the package, a procedural
    stand-in, or arrays made in memory.
    """

    image: np.ndarray  # float32 (N, C, H, W) in [0, 1]
    masks: np.ndarray  # uint8 (N, R, H, W), class labels; all zero where present is False
    present: np.ndarray  # bool (N, R)
    truth: np.ndarray | None = None  # uint8 (N, H, W), or None where no truth is known
    spacing_mm: np.ndarray  # float64 (N, 2), row and column; 1.0 and no mm where card.spacing_known is False
    patients: tuple[str, ...]  # (N,)
    cases: tuple[str, ...]  # (N,), unique
    card: Card
    split: str
    source: Source

    def __post_init__(self) -> None:
        sizes = require_shape("store: image", self.image, "NCHW", N=len(self.cases))
        space = {axis: sizes[axis] for axis in "NHW"}
        require(0 not in sizes.values(), f"store: image has shape {self.image.shape}; wanted no axis of size 0")
        raters = require_shape("store: masks", self.masks, "NRHW", **space)["R"]
        require(raters, "store: masks hold no rater; wanted R >= 1, with present False where nobody judged")
        require_shape("store: present", self.present, "NR", N=sizes["N"], R=raters)
        require_shape("store: spacing_mm", self.spacing_mm, "NA", N=sizes["N"], A=2)
        if self.truth is not None:
            require_shape("store: truth", self.truth, "NHW", **space)
        require(len(self.patients) == sizes["N"], f"store: {len(self.patients)} patients for {sizes['N']} cases")
        require_choice("store: source", self.source, get_args(Source), InputError)
        for name, dtype in DTYPES.items():
            if (array := getattr(self, name)) is not None:
                require(array.dtype == dtype, f"store: {name} is {array.dtype}; wanted {dtype}")
        if len(set(self.cases)) != len(self.cases):
            twice = next(case for i, case in enumerate(self.cases) if case in self.cases[:i])
            raise InputError(f"store: case {twice!r} occurs twice; wanted unique case ids")
        judged = self.present.any(axis=1)
        if judged.any() and not judged.all():
            bare = self.cases[int(np.argmin(judged))]
            raise InputError(f"store: case {bare!r} has no rater and others have; wanted raters for all cases or none")

    def __len__(self) -> int:
        return len(self.cases)

    @cached_property
    def labeled(self) -> bool:
        """Whether the cases have raters; False for images alone, which can be predicted on but not scored."""
        return bool(self.present.any())

    @cached_property
    def manifest(self) -> str:
        """Hex SHA-256 over the content of all cases: equal for two people exactly when their data are equal.

        Covers ids, patients, spacings, images, masks, presence and truth; not the card, the split's name, the
        source, the order of the cases, or how far the rater axis is padded.
        """
        digests = sorted((case, _case_digest(self, i)) for i, case in enumerate(self.cases))
        return hashlib.sha256("".join(digest for _, digest in digests).encode()).hexdigest()

    def __getitem__(self, index: int) -> Case:
        """Case `index`, copied; its rater axis is the store's, with ``present`` False for padding.

        Raises:
            InputError: the index is out of range, or the store has no masks.
        """
        (row,) = self._rows([index])
        require(self.labeled, f"{self._name} has no masks, so it has no cases to score; use batch([...]).image")
        return Case(
            image=self.image[row].copy(),
            masks=self.masks[row].copy(),
            present=self.present[row].copy(),
            truth=None if self.truth is None else self.truth[row].copy(),
            spacing_mm=tuple(float(s) for s in self.spacing_mm[row]) if self.card.spacing_known else None,
            patient=self.patients[row],
            case=self.cases[row],
        )

    def batch(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """The cases at `indices`, in that order and repeats allowed, as CPU tensors: one gather per array.

        Raises:
            InputError: no index, or one outside ``0 .. len - 1``.
        """
        rows = self._rows(indices)
        return Batch(
            torch.from_numpy(self.image[rows]),
            torch.from_numpy(self.masks[rows]),
            torch.from_numpy(self.present[rows]),
            None if self.truth is None else torch.from_numpy(self.truth[rows]),
        )

    def first(self, limit: int | None) -> Store:
        """The first `limit` cases as a view; all of them where there are fewer, or where `limit` is None."""
        return self if limit is None or limit >= len(self) else self.subset(range(limit))

    def subset(self, indices: Sequence[int] | np.ndarray) -> Store:
        """A store of the cases at `indices`, each at most once.

        A run of consecutive indices is a view; any other choice copies its cases into memory.

        Raises:
            InputError: no index, one outside ``0 .. len - 1``, or one given twice.
        """
        rows = self._rows(indices)
        run = len(rows) == rows[-1] - rows[0] + 1 and bool((np.diff(rows) == 1).all())
        take = slice(int(rows[0]), int(rows[-1]) + 1) if run else rows
        return replace(
            self,
            image=self.image[take],
            masks=self.masks[take],
            present=self.present[take],
            truth=None if self.truth is None else self.truth[take],
            spacing_mm=self.spacing_mm[take],
            patients=tuple(self.patients[i] for i in rows),
            cases=tuple(self.cases[i] for i in rows),
        )

    @classmethod
    def from_cases(cls, cases: Sequence[Case], *, card: Card, split: str, source: Source = "memory") -> Store:
        """A store in memory from 2D cases of one size; raters are padded, and absent raters' masks are zeroed.

        Raises:
            InputError: no case, sizes that differ, a 3D case, an image outside [0, 1], a mask value of K or more, or
                a truth for some cases only.
        """
        require(cases, "from_cases: no case was given; wanted at least one")
        shape, raters = cases[0].image.shape, max(case.masks.shape[0] for case in cases)
        truths = [case.truth for case in cases if case.truth is not None]
        for case in cases:
            _check_case(case, shape, card, with_truth=bool(truths))
        masks = np.zeros((len(cases), raters, *shape[-2:]), np.uint8)
        present = np.zeros((len(cases), raters), bool)
        for i, case in enumerate(cases):
            present[i, : len(case.present)] = case.present
            masks[i, present[i]] = case.masks[case.present]
        return cls(
            image=np.stack([case.image for case in cases]).astype(np.float32, copy=False),
            masks=masks,
            present=present,
            truth=np.stack(truths).astype(np.uint8) if truths else None,
            spacing_mm=np.array([case.spacing_mm or (1.0, 1.0) for case in cases], np.float64),
            patients=tuple(case.patient for case in cases),
            cases=tuple(case.case for case in cases),
            card=card,
            split=split,
            source=source,
        )

    def _rows(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        rows = np.asarray(indices)
        if rows.ndim != 1 or not rows.size:
            raise InputError(f"{self._name}: indices have shape {rows.shape}; wanted one or more in a row")
        if rows.dtype.kind not in "iu":
            raise InputError(f"{self._name}: indices are {rows.dtype}; wanted whole numbers")
        low, high = int(rows.min()), int(rows.max())
        if low < 0 or high >= len(self):
            raise InputError(f"{self._name}: index {low if low < 0 else high} is outside 0 .. {len(self) - 1}")
        return rows

    @property
    def _name(self) -> str:
        return f"store {self.card.name}/{self.split}"


def join(stores: Sequence[Store]) -> Store:
    """The cases of several splits of one dataset in one store, in memory; raters are padded to the most of any.

    Raises:
        InputError: no store, other datasets, image sizes or sources, a case in two of them, or a truth in some only.
    """
    require(stores, "join: no store was given; wanted one or more")
    first, raters = stores[0], max(store.masks.shape[1] for store in stores)
    for store in stores:
        for name, there, wanted in (
            ("the dataset", store.card.name, first.card.name),
            ("the image size", store.image.shape[1:], first.image.shape[1:]),
            ("the source", store.source, first.source),
            ("a truth", store.truth is not None, first.truth is not None),
        ):
            require(there == wanted, f"join: {name} of {store._name} is {there} and of {first._name} {wanted}")

    def stacked(name: str) -> np.ndarray:
        return np.concatenate([getattr(store, name) for store in stores])

    def padded(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, 0), (0, raters - array.shape[1])] + [(0, 0)] * (array.ndim - 2))

    return Store(
        image=stacked("image"),
        masks=np.concatenate([padded(store.masks) for store in stores]),
        present=np.concatenate([padded(store.present) for store in stores]),
        truth=None if first.truth is None else stacked("truth"),
        spacing_mm=stacked("spacing_mm"),
        patients=tuple(patient for store in stores for patient in store.patients),
        cases=tuple(case for store in stores for case in store.cases),
        card=first.card,
        split=" and ".join(store.split for store in stores),
        source=first.source,
    )


def _check_case(case: Case, shape: tuple[int, ...], card: Card, *, with_truth: bool) -> None:
    where = f"from_cases: case {case.case!r}"
    require(case.image.ndim == 3, f"{where}: image has shape {case.image.shape}; wanted 2D cases (C, H, W)")
    require(case.image.shape == shape, f"{where}: image has shape {case.image.shape} and the first case {shape}")
    require_unit_range(f"{where}: image", case.image)
    known = case.spacing_mm is not None
    require(
        known == card.spacing_known, f"{where}: spacing is {case.spacing_mm}; the card says known: {card.spacing_known}"
    )
    require((case.truth is not None) == with_truth, f"{where}: truth is given for some cases only; wanted all or none")
    for name, labels in (("masks", case.masks[case.present]), ("truth", case.truth)):
        if labels is not None:
            low, high = labels.min(), labels.max()
            ok = labels.dtype.kind in "biu" and low >= 0 and high < card.classes
            require(ok, f"{where}: {name} run from {low} to {high}; wanted whole labels 0 .. {card.classes - 1}")


def _case_digest(store: Store, row: int) -> str:
    present = store.present[row]
    raters = "".join("01"[bool(p)] for p in present).rstrip("0")
    facts = (store.cases[row], store.patients[row], raters, *map(float, store.spacing_mm[row]), *store.image.shape[1:])
    digest = hashlib.sha256(repr(facts).encode())
    digest.update(np.ascontiguousarray(store.image[row], "<f4").tobytes())
    digest.update(store.masks[row][present].tobytes())
    if store.truth is not None:
        digest.update(b"truth" + store.truth[row].tobytes())
    return digest.hexdigest()


def write_store(folder: str | Path, store: Store) -> None:
    """Write `store` to `folder`, whole or not at all; an earlier store there is replaced.

    Raises:
        DataError: `folder` exists and holds anything that is not part of a store.
    """
    folder = Path(folder)
    ours = {"index.json", "earlier", *(f"{name}.npy" for name in DTYPES)}
    if folder.exists():
        other = sorted({path.name for path in folder.iterdir()} - ours) if folder.is_dir() else [folder.name]
        require(not other, f"{folder} holds {other[:1]}, which is no part of a store; choose another folder", DataError)
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    try:
        arrays = {}
        for name in DTYPES:
            if (array := getattr(store, name)) is not None:
                arrays[name] = _write_array(building / f"{name}.npy", array)
        names = {"patients": store.patients, "cases": store.cases, "split": store.split, "source": store.source}
        index = {"version": VERSION, "arrays": arrays, "card": to_dict(store.card), "manifest": store.manifest}
        write_json(building / "index.json", index | names)
        if folder.exists():
            # Readers of the earlier store keep their open maps; newcomers find either store or neither, never a mix.
            os.rename(folder, building / "earlier")
        os.rename(building, folder)
        shutil.rmtree(folder / "earlier", ignore_errors=True)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _write_array(path: Path, array: np.ndarray) -> dict[str, Any]:
    with names_file(path), open(path, "wb") as stream:
        np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())
    return {"dtype": array.dtype.name, "shape": list(array.shape), "bytes": path.stat().st_size}


def open_store(folder: str | Path, *, verify: bool = False) -> Store:
    """The store in `folder`, its images and masks mapped from disk rather than read.

    Args:
        folder: what `write_store` was given.
        verify: read everything and compare with the recorded manifest.
    Raises:
        DataError: the folder is no store, a file is missing, cut short, or of another dtype or shape than the index
            says, the index is damaged or of another version, or (with `verify`) the content has changed.
    """
    folder = Path(folder)
    require((folder / "index.json").is_file(), f"{folder} is not a store: it has no index.json", DataError)
    index = read_json(folder / "index.json")
    where = f"{folder / 'index.json'}"
    require(isinstance(index, dict), f"{where} holds no table; the store must be prepared again", DataError)
    version = index.get("version")
    require(version == VERSION, f"{where} has version {version!r}; wanted {VERSION}: prepare it again", DataError)
    try:
        arrays: dict[str, Any] = {
            name: _map_array(folder, name, index["arrays"][name]) for name in DTYPES if name in index["arrays"]
        }
        for name in ("present", "spacing_mm"):
            arrays[name] = np.array(arrays[name])
        arrays |= {name: tuple(map(str, index[name])) for name in ("patients", "cases")}
        card = from_dict(Card, index["card"], "card")
        store = Store(**arrays, card=card, split=index["split"], source=index["source"])
        recorded = str(index["manifest"])
    except DataError:
        raise
    except (LabutilsError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{where} does not describe a store ({error}); the store must be prepared again") from error
    if verify:
        require(store.manifest == recorded, f"{folder} has changed since it was written; prepare it again", DataError)
    # The manifest is known from writing; computing it here would read every byte.
    vars(store)["manifest"] = recorded
    return store


def _map_array(folder: Path, name: str, entry: dict[str, Any]) -> np.ndarray:
    path = folder / f"{name}.npy"
    require(path.is_file(), f"{path} is missing; the store must be prepared again", DataError)
    size = path.stat().st_size
    require(size == entry["bytes"], f"{path} has {size} bytes; the index says {entry['bytes']}", DataError)
    try:
        # "c": what a caller writes into the array stays in memory, and torch takes it without a warning
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is not a readable array: {error}") from error
    require(array.dtype == DTYPES[name], f"{path} holds {array.dtype}; wanted {DTYPES[name]}", DataError)
    require(list(array.shape) == entry["shape"], f"{path} is {array.shape}; the index says {entry['shape']}", DataError)
    return array.view(np.ndarray)  # plain arrays gather faster than memmap objects
