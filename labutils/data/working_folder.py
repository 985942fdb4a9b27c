"""A folder that takes hours to fill: built beside its place, continued after a stop, and opened again for more.

Work is done in ``<out>.unfinished``. When `out` is there already, it stays as it is and in use: the working folder
begins as a copy of it (by links where the file system has them), and takes its place at the end. Whoever writes into a
working folder replaces files and never changes them in place, since their content may be shared with `out`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labutils.core.checks import DataError, require
from labutils.core.config import differences
from labutils.core.files import new_folder, read_json, write_json

SETTINGS = "settings.json"  # in both folders: what the content depends on


def working_folder(out: Path) -> Path:
    """Where the work for `out` is done."""
    return out.with_name(f"{out.name}.unfinished")


def require_same_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Refuse an `out`, or work begun for it, that is something else or was made with other settings.

    Args:
        out: the folder to make; it need not be there.
        settings: what the content depends on, plain values; a table "split" of ids is compared and not repeated.
    Raises:
        DataError: as said; the text names what differs.
    """
    for folder in (working_folder(out), out):
        if not os.path.lexists(folder):
            continue
        ours = (folder / SETTINGS).is_file()
        require(ours, f"{folder} exists and was not prepared here; choose another folder", DataError)
        before = read_json(folder / SETTINGS)
        if before != settings:
            without = [{key: value for key, value in one.items() if key != "split"} for one in (before, settings)]
            told = differences(*without) or "patients are split in another way"
            raise DataError(f"{folder} was prepared with other settings ({told}); choose another folder")


def open_working(out: Path, settings: Mapping[str, Any]) -> Path:
    """The folder to work in: the one a stop has left, or a new one that holds what `out` does.

    Call `require_same_settings` first.
    """
    working = working_folder(out)
    if not working.exists():
        with new_folder(working) as building:
            if out.exists():
                shutil.copytree(out, building, copy_function=_link, dirs_exist_ok=True)
            else:
                write_json(building / SETTINGS, settings)
    return working


def publish(out: Path) -> None:
    """Put the working folder in the place of `out`."""
    earlier = out.with_name(f".{out.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if out.exists():
        os.rename(out, earlier)
    os.rename(working_folder(out), out)
    shutil.rmtree(earlier, ignore_errors=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)
