"""Twins as small as tests can use them."""

from __future__ import annotations

from pathlib import Path

from labutils.data.twins import make_twin

CASES = 40
FEWER = {"bubil-experts": 8, "stapler-lesions": 1}  # large images, and a single volume


def cases_of(name: str) -> int:
    """How many cases a twin has here."""
    return FEWER.get(name, CASES)


def twin_folder(root: Path, name: str, form: str = "") -> Path:
    """The folder of a twin below `root`, made at the first call."""
    folder = root / f"{name}{form}"
    if not folder.exists():
        make_twin(name, folder, cases=cases_of(name), form=form)
    return folder
