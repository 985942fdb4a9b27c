"""Run folders as people meet them: refused when they hold something else, gone on with when they hold the same run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labutils.core.checks import ConfigError, DataError, require
from labutils.core.config import first_difference
from labutils.core.files import read_json
from labutils.search.redact import redacted
from labutils.training.checkpoint import RUN

PASSPORT = "passport.json"


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


def same_run(out: Path, asked: dict[str, Any]) -> bool:
    """Whether the folder holds this very run already; False where it holds none.

    Raises:
        ConfigError: it holds a run with other settings or other data; the first difference is named.
        DataError: its ``run.json`` is damaged.
    """
    if not (out / RUN).exists():
        return False
    there = read_json(out / RUN)
    try:
        before = _identity(there)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{out / RUN} is not what labutils train writes; choose another folder for --out") from error
    if difference := first_difference(before, _identity(asked)):
        name, old, new = difference
        raise ConfigError(f"{out} holds a run with {name} = {old!r}, not {new!r}; choose another folder for --out")
    return True


def _identity(run: dict[str, Any]) -> dict[str, Any]:
    """What two runs are compared by; of the data their content, not where they lie."""
    data = run["data"]
    content = {f"split {i}": f"{part['split']} {part['manifest'][:12]}" for i, part in enumerate(data["splits"])}
    return {name: run[name] for name in ("model", "settings", "fit")} | {"data": {"name": data["name"], **content}}


def command_line(words: Sequence[str] | None = None) -> str:
    """The command as it was typed, passwords hidden."""
    return redacted(shlex.join(["labutils", *(sys.argv[1:] if words is None else words)]))
