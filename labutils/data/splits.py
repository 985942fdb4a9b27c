"""Splits by patient: made from hashes of patient ids, stored with their own hash, and checked to be disjoint.

Slices of one patient look alike, so a split by slice lets a model be tested on what it has seen. Everything here
moves whole patients.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from labutils.core.checks import DataError, InputError, require
from labutils.core.files import read_json, sha256_of_bytes, write_json
from labutils.data.store import Store


def split_by_patient(patients: Sequence[str], fractions: Mapping[str, float], seed: int) -> dict[str, list[int]]:
    """Deal patients into splits by the hash of their ids: adding or removing a patient moves nobody else.

    Args:
        patients: the patient of each case, as in ``store.patients``.
        fractions: the share of patients wanted in each split, each 0 to 1, summing to 1, e.g.
            ``{"train": 0.7, "validate": 0.15, "test": 0.15}``; the order of the splits matters.
        seed: another seed gives another split.
    Returns:
        The case indices of each split, ascending. Shares are met on average over many patients; with few patients a
        split can be empty.
    Raises:
        InputError: a patient id is empty, or the fractions are not as above.
    """
    _require_ids(patients)
    total = sum(fractions.values())
    in_range = all(0 <= share <= 1 for share in fractions.values())
    require(in_range and math.isclose(total, 1.0), f"fractions are {dict(fractions)}; wanted shares that sum to 1")
    chosen: dict[str, list[int]] = {name: [] for name in fractions}
    names = [name for name, share in fractions.items() if share > 0]
    for i, patient in enumerate(patients):
        place, edge = _place(seed, patient), 0.0
        for name in names:
            edge += fractions[name]
            if place < edge or name == names[-1]:
                chosen[name].append(i)
                break
    return chosen


def cross_validation(patients: Sequence[str], folds: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """Folds of equally many patients (give or take one), each held out once.

    Args:
        patients: the patient of each case, as in ``store.patients``.
        folds: 2 or more, at most the number of patients.
        seed: another seed gives other folds.
    Returns:
        For each fold the case indices to train on and those held out, ascending. Folds are kept equal in size, so
        adding a patient may move others; `split_by_patient` moves nobody.
    Raises:
        InputError: a patient id is empty, or there are fewer patients than folds.
    """
    _require_ids(patients)
    order = sorted(set(patients), key=lambda patient: (_place(seed, patient), patient))
    require(2 <= folds <= len(order), f"folds is {folds} for {len(order)} patients; wanted 2 to {len(order)}")
    fold_of = {patient: position % folds for position, patient in enumerate(order)}
    return [
        (
            [i for i, patient in enumerate(patients) if fold_of[patient] != fold],
            [i for i, patient in enumerate(patients) if fold_of[patient] == fold],
        )
        for fold in range(folds)
    ]


def assert_disjoint(splits: Mapping[str, Store | Iterable[str]]) -> None:
    """Refuse splits that share a patient.

    Args:
        splits: the store, or the patient ids, of each split.
    Raises:
        DataError: a patient is in two splits; the text names the patient and both splits.
    """
    sets = {name: set(one.patients if isinstance(one, Store) else one) for name, one in splits.items()}
    for (first, a), (second, b) in combinations(sets.items(), 2):
        if shared := sorted(a & b):
            raise DataError(
                f"patient {shared[0]!r} is in both {first} and {second} ({len(shared)} shared in all); "
                "wanted every patient in one split"
            )


def split_hash(ids: Mapping[str, Iterable[str]]) -> str:
    """Hex SHA-256 of which ids are in which split, whatever their order."""
    table = {name: sorted(members) for name, members in ids.items()}
    return sha256_of_bytes(json.dumps(table, sort_keys=True).encode())


def save_split(path: str | Path, ids: Mapping[str, Sequence[str]]) -> str:
    """Write the ids (of patients or of cases) of each split with their hash, as JSON; returns the hash.

    Raises:
        DataError: an id is in two splits.
    """
    assert_disjoint(ids)
    digest = split_hash(ids)
    write_json(path, {"splits": {name: sorted(members) for name, members in ids.items()}, "sha256": digest})
    return digest


def read_split(path: str | Path) -> dict[str, tuple[str, ...]]:
    """The ids of each split, as `save_split` wrote them.

    Raises:
        DataError: the file is missing or damaged, an id is in two splits, or the ids are not those that were hashed.
    """
    content = read_json(path)
    splits = content.get("splits") if isinstance(content, dict) else None
    valid = isinstance(splits, dict) and all(
        isinstance(members, list) and all(isinstance(member, str) for member in members) for members in splits.values()
    )
    if not valid or not isinstance(splits, dict):
        raise DataError(f"{path} is not a split file; wanted the lists of ids under 'splits'")
    if split_hash(splits) != content.get("sha256"):
        raise DataError(f"{path} was changed after it was written: its ids do not match its sha256")
    assert_disjoint(splits)
    return {name: tuple(members) for name, members in splits.items()}


def _place(seed: int, patient: str) -> float:
    """Where a patient falls in [0, 1): uniform over patients, fixed for each seed."""
    digest = hashlib.sha256(f"{seed}/split/{patient}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # 53 bits, so that the largest stays below 1.0


def _require_ids(patients: Sequence[str]) -> None:
    if "" in patients:
        raise InputError(f"case {list(patients).index('')} has no patient id; wanted one for every case")
