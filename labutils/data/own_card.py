"""``dataset.toml`` of a person's own folder: what it may say, and the card that comes of it."""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labutils.core.checks import ConfigError, require
from labutils.core.config import from_dict
from labutils.core.files import kind_of
from labutils.data import catalog
from labutils.data.cards import Card
from labutils.data.findings import Findings, read_text

FILE = "dataset.toml"
NOT_STATED = "not stated"
_ANY = (0.0, 1.0)  # in place of a window that is wrong, as every volume would be told to lack one
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # names files in the cache


@dataclass(frozen=True, kw_only=True)
class OwnSettings:
    """What ``dataset.toml`` may say, and what holds where it says nothing."""

    name: str = ""  # how results call the dataset; "": as its folder is called
    title: str = ""  # "": the name
    licence: str = NOT_STATED
    citation: str = ""
    identified: bool = False  # whether the rater of a folder is one person throughout
    classes: int = 2  # K, the background included
    window: tuple[float, float] | None = None  # gray values that become 0 and 1, those beyond are cut off

    def __post_init__(self) -> None:
        named = not self.name or _NAME.fullmatch(self.name)
        require(named, f"name is {self.name!r}; wanted letters, digits, '.', '_' and '-'", ConfigError)
        ours = ", ".join(catalog.names())
        require(self.name not in catalog.names(), f"name is {self.name!r}; wanted another than {ours}", ConfigError)
        require(self.licence, f"licence is empty; wanted the license, or {NOT_STATED!r}", ConfigError)
        require(2 <= self.classes <= 255, f"classes is {self.classes}; wanted 2 to 255", ConfigError)
        if self.window is not None:
            low, high = self.window
            opens = low < high and math.isfinite(high - low)
            require(opens, f"window is [{low:g}, {high:g}]; wanted [low, high] with low below high", ConfigError)


def read_settings(root: Path, findings: Findings) -> OwnSettings:
    """The settings of a folder; what its ``dataset.toml`` does not say, or says wrongly, is as it is without one."""
    path = root / FILE
    if not kind_of(path):
        return OwnSettings()
    values = _values(path, findings)
    if values is None:
        return OwnSettings(window=_ANY)
    good: dict[str, Any] = {}
    for name, value in values.items():
        if problem := _problem(name, value):
            what, _, wanted = problem.partition("; wanted ")
            findings.fault(path, what, wanted)
        else:
            good[name] = value
    if "window" in values:
        good.setdefault("window", _ANY)
    return from_dict(OwnSettings, good)


def _values(path: Path, findings: Findings) -> dict[str, Any] | None:
    """What the file says, whatever its settings are called; None where it does not parse."""
    text = read_text(path, findings)
    if text is None:
        return None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = str(error)  # it gives the place
    findings.fault(path, f"does not parse ({problem})", "lines such as licence = 'CC BY 4.0'")
    return None


def _problem(name: str, value: object) -> str:
    """What is wrong with one setting, none of which depends on another; "" where nothing is."""
    known = [field.name for field in dataclasses.fields(OwnSettings)]
    if name not in known:
        return f"has a setting {name!r}; wanted only {', '.join(known)}"
    try:
        from_dict(OwnSettings, {name: value})
    except ConfigError as error:
        return str(error)
    return ""


def own_card(
    root: Path, settings: OwnSettings, raters: Sequence[str], *, splits: Sequence[str], spacing_known: bool
) -> Card:
    """The card of a folder, with its own license and citation; it holds no path of the machine.

    Args:
        root: the folder; its name serves where the settings give none.
        settings: what ``dataset.toml`` says.
        raters: in the order of the rater axis.
        splits: those that have cases.
        spacing_known: whether every case has a spacing.
    """
    name = settings.name or _name_of(root)
    drew = f"{len(raters)}, a folder each: {', '.join(raters)}" if raters else "none; images only"
    return Card(
        name=name,
        title=settings.title or name,
        what="Images from a folder of one's own, with the masks that each rater drew.",
        licence=settings.licence,
        citation=settings.citation,
        homepage="",
        raters=drew,
        identified=settings.identified,
        classes=settings.classes,
        image="(C, H, W), C = 1 or 3, smaller images padded below and to the right",
        splits=tuple(splits),
        how_to_get="it is somebody's own folder: ask who has it, and give its path",
        spacing_known=spacing_known,
    )


def _name_of(root: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name).strip(".-_") or "own"
    return f"own-{name}" if name in catalog.names() else name
