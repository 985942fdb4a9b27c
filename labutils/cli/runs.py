"""Run folders as people meet them: refused when they hold something else, and checked when they are read."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from labutils.cli.stores import Stores
from labutils.core.checks import ConfigError, DataError, require
from labutils.core.files import read_json, write_json
from labutils.data.store import Store
from labutils.evaluation.passport import describe_store
from labutils.models.base import Model
from labutils.search.redact import redacted
from labutils.training.checkpoint import PASSPORT, RUN, require_own_weights
from labutils.training.trained import load_trained, run_folder

MEMBERS = "cases.json"  # which cases a run saw: {"trained" or "chosen": {case: patient}}


def require_writable(folder: Path, purpose: str) -> None:
    """Refuse a folder that is a file, or that could not be made or written.

    Raises:
        ConfigError: with `purpose`, such as "run folder", in the sentence.
    """
    require(not folder.exists() or folder.is_dir(), f"{purpose} {folder} is a file; wanted a folder", ConfigError)
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    require(writable, f"{purpose} {folder} cannot be written: {nearest} allows no new files", ConfigError)


def require_own_folder(folder: Path, purpose: str, mark: str) -> None:
    """Refuse a folder that cannot be written, or that holds other files and not the file `mark`.

    Raises:
        ConfigError: as said.
    """
    require_writable(folder, purpose)
    if folder.is_dir() and not (folder / mark).exists():
        other = sorted(path.name for path in folder.iterdir() if not path.name.startswith(f".{mark}."))
        require(not other, f"{purpose} {folder} holds {other[:1]}; wanted a new, empty or own folder", ConfigError)


class Run(NamedTuple):
    """A trained network and what its folder says of how it was trained."""

    network: Model
    fit: Mapping[str, Any]  # settings of the training; empty where the folder has no run.json
    splits: Sequence[Mapping[str, Any]]  # what it was trained and chosen on, as in a passport
    members: Mapping[str, Mapping[str, str]]  # of "trained" and "chosen", the patient of each case; {}: not known

    @property
    def crop_px(self) -> int:
        """Side of the windows that it learned from; 0 where it learned from whole images."""
        return int(self.fit.get("crop_px", 0))

    def notes(self, store: Store) -> list[str]:
        """What to know of a store before believing this run's scores on it."""
        if not self.members:
            return self._notes_of_splits(store) or [self._note_of_no_cases()]
        lines = []
        for use, patient_of in self.members.items():
            seen = set(patient_of.values())
            shared = [case for case, patient in zip(store.cases, store.patients, strict=True) if patient in seen]
            if same := sum(case in patient_of for case in shared):
                lines.append(f"note: the run was {use} on {same} of these {len(store)} cases")
            elif shared:
                lines.append(f"note: the run was {use} on other cases of the patients of {len(shared)} of these cases")
        return lines

    def _note_of_no_cases(self) -> str:
        learned = self.splits[0] if self.splits else {}
        told = ""
        if {"cases", "name", "split"} <= learned.keys():
            told = f"; it was trained on {learned['cases']} cases of {learned['name']}/{learned['split']}"
        return f"note: the run does not say which cases it saw (it has no {MEMBERS}){told}"

    def _notes_of_splits(self, store: Store) -> list[str]:
        """What its passport says of a store, where no list of cases was kept."""
        # to the last epoch nothing is chosen: the second split of a comparison's run is one that it was scored on
        uses = ("trained",) if self.fit.get("keep") == "last" else ("trained", "chosen")
        here, lines = describe_store(store), []
        for use, part in zip(uses, self.splits, strict=False):
            if part.get("manifest") == here["manifest"]:
                lines.append(f"note: the run was {use} on these {len(store)} cases")
            elif all(part.get(name) == here[name] for name in ("name", "split", "source")):
                where = f"{here['name']}/{here['split']}"
                lines.append(f"note: the run was {use} on cases of {where}, where these {len(store)} are from")
        return lines


def write_members(folder: Path, stores: Stores) -> None:
    """Record in a run folder which cases, of which patients, it learns from and is chosen on."""
    members = {
        use: dict(zip(store.cases, store.patients, strict=True))
        for use, store in zip(("trained", "chosen"), stores, strict=True)
    }
    write_json(folder / MEMBERS, members)


def take_run(run: Path) -> Run:
    """The network of a run folder, or of one that comes with the package, with the facts of its training.

    Raises:
        WeightsError: no run folder, damaged weights, or weights other than those of the folder's passport.
        DataError: ``run.json`` or the passport is damaged.
    """
    network, folder = load_trained(run), run_folder(run)
    passport = _table(folder / PASSPORT) if (folder / PASSPORT).exists() else {}
    if passport:
        require_own_weights(folder, network, passport)
    if (folder / RUN).exists():
        told = _table(folder / RUN)
        fit, data = told.get("fit", {}), told.get("data", {})
        splits = data.get("splits", []) if isinstance(data, dict) else []
    else:  # as in one that comes with the package
        fit, splits = passport.get("config", {}).get("fit", {}), passport.get("data", [])
    return Run(network, fit, splits, _members(folder / MEMBERS))


def _members(path: Path) -> dict[str, dict[str, str]]:
    members = _table(path) if path.exists() else {}
    whole = all(isinstance(patient_of, dict) for patient_of in members.values())
    require(whole, f"{path} holds no tables of cases; wanted what labutils train wrote", DataError)
    return members


def _table(path: Path) -> dict[str, Any]:
    value = read_json(path)
    require(isinstance(value, dict), f"{path} holds no table; wanted what labutils train wrote", DataError)
    return value


def command_line(words: Sequence[str] | None = None) -> str:
    """The command as it was typed, passwords hidden."""
    return redacted(shlex.join(["labutils", *(sys.argv[1:] if words is None else words)]))
