"""The files of a person's own folder, and which of them belong to one case.

The layout::

    <root>/images/<name>.<ending>           one image a case, or one volume whose planes become cases
    <root>/masks/<rater>/<name>.<ending>    a folder a rater, called by their name; a missing file: did not judge it
    <root>/truth/<name>.<ending>            optional
    <root>/cases.csv                        optional: case, patient, split, spacing_row_mm, spacing_column_mm
    <root>/dataset.toml                     optional, see `labutils.data.own_card.OwnSettings`

Endings are ``.png``, ``.tif``, ``.tiff``, ``.nii`` and ``.nii.gz``, in any case. Hidden files are passed over, and so
is what else lies in ``<root>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from labutils.core.checks import DataError, require
from labutils.core.files import kind_of
from labutils.core.words import controls, printable
from labutils.data import own_card, own_table, volumes
from labutils.data.cards import Card
from labutils.data.findings import Findings
from labutils.data.own_card import OwnSettings, read_settings
from labutils.data.own_table import SPLITS, Row, read_table
from labutils.data.splits import split_by_patient

IMAGES, MASKS, TRUTH = "images", "masks", "truth"
PICTURES = (".png", ".tif", ".tiff")
ENDINGS = (*PICTURES, *volumes.ENDINGS)
FRACTIONS = {"train": 0.6, "validate": 0.2, "test": 0.2}  # of the patients, where no table says more
SEED = 0  # of that deal


class OwnCase(NamedTuple):
    """One image file and what belongs to it."""

    name: str  # of the file, without its ending
    patient: str
    split: str
    image: Path
    masks: tuple[Path | None, ...]  # by rater; None where the rater did not judge the case
    truth: Path | None
    spacing_mm: tuple[float, float] | None  # row and column, as the table says


class OwnFolder(NamedTuple):
    """A folder as its names tell it; nothing is known of pixels yet."""

    root: Path
    settings: OwnSettings
    card: Card
    raters: tuple[str, ...]  # in the order of the rater axis: sorted by name
    cases: tuple[OwnCase, ...]  # sorted by name

    @property
    def files(self) -> list[Path]:
        """Every file that what is read depends on."""
        files = [path for case in self.cases for path in (case.image, *case.masks, case.truth) if path is not None]
        extra = (self.root / own_card.FILE, self.root / own_table.FILE)
        return files + [path for path in extra if path.is_file()]


def is_volume(path: Path) -> bool:
    """Whether a file of the folder is a volume, by its ending."""
    return path.name.lower().endswith(volumes.ENDINGS)


def list_folder(root: Path, findings: Findings) -> OwnFolder:
    """The folder's cases; what is wrong with names and table goes to `findings`, and the cases are those without it.

    Raises:
        DataError: there is no such folder, it has no folder ``images``, or no image in it.
    """
    shown = printable(str(root))
    require(root.is_dir(), f"{shown} is not a folder; wanted one that holds {IMAGES}/ and {MASKS}/", DataError)
    require((root / IMAGES).is_dir(), f"{shown} has no folder {IMAGES}; wanted one file a case in it", DataError)
    settings = read_settings(root, findings)
    if settings.licence == own_card.NOT_STATED:
        findings.note(f"the license is not stated; {own_card.FILE} can state it")
    images = _named(root / IMAGES, findings)
    require(images, f"{shown}/{IMAGES} holds no image; wanted files that end in {', '.join(ENDINGS)}", DataError)
    drawn = _drawn(root, findings)
    truth = _named(root / TRUTH, findings)
    for files in (*drawn.values(), truth):
        _require_images(files, images, findings)
    table_file = root / own_table.FILE
    table = read_table(table_file, findings)
    if table is not None:
        _require_listed(table_file, table, images, findings)
    spacings = _spacings(table_file, table or {}, images, findings)
    patients = _patients(table or {}, images)
    splits = _splits(table_file, table, patients, findings)
    masks = {name: tuple(files.get(name) for files in drawn.values()) for name in images}
    cases = tuple(
        OwnCase(name, patients[name], splits[name], images[name], masks[name], truth.get(name), spacings.get(name))
        for name in sorted(splits)
    )
    _require_all_or_none(cases, findings)
    there = [split for split in SPLITS if split in splits.values()] or [SPLITS[0]]
    known = all(is_volume(case.image) or case.spacing_mm is not None for case in cases)
    card = own_card.own_card(root, settings, tuple(drawn), splits=there, spacing_known=known)
    return OwnFolder(root, settings, card, tuple(drawn), cases)


def _visible(folder: Path, findings: Findings) -> list[Path]:
    """What a folder that may be missing holds, but for hidden files and names that are no plain text."""
    if (kind := kind_of(folder)) != "a folder":
        if kind:
            findings.fault(folder, f"is {kind}", "a folder")
        return []
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in (path for path in visible if controls(path.name)):
        findings.fault(path, "has a name with control characters or damaged ones", "a name of plain text")
    return [path for path in visible if not controls(path.name)]


def _named(folder: Path, findings: Findings) -> dict[str, Path]:
    """The files of a folder by name without ending; the first of a name counts."""
    found: dict[str, Path] = {}
    for path in _visible(folder, findings):
        ending = next((ending for ending in reversed(ENDINGS) if path.name.lower().endswith(ending)), None)
        if (kind := kind_of(path)) != "a file":  # to open a pipe would wait for ever
            findings.fault(path, f"is {kind}", "files only")
        elif ending is None:
            findings.fault(path, "has another ending", ", ".join(ENDINGS))
        elif (name := path.name[: -len(ending)]) in found:
            findings.fault(path, f"is a second file of case {name!r}, beside {found[name].name}", "one file a case")
        else:
            found[name] = path
    _require_apart(found, findings)
    return found


def _drawn(root: Path, findings: Findings) -> dict[str, dict[str, Path]]:
    """The masks of each rater, by name of their image."""
    folders = {}
    for path in _visible(root / MASKS, findings):
        if (kind := kind_of(path)) == "a folder":
            folders[path.name] = path
        else:
            findings.fault(path, f"is {kind}", "one folder a rater, with the masks in it")
    _require_apart(folders, findings)
    drawn = {rater: _named(folder, findings) for rater, folder in folders.items()}
    for rater in (rater for rater, files in drawn.items() if not files):
        findings.note(f"rater {rater!r} judged no case")
    if not any(drawn.values()):
        findings.note("there are no masks: the cases can be predicted on, and neither learned from nor scored")
    return drawn


def _require_apart(paths: Mapping[str, Path], findings: Findings) -> None:
    """Names that differ only in case are one name on many computers, where one file would replace the other."""
    first: dict[str, Path] = {}
    for name, path in paths.items():
        other = first.setdefault(name.casefold(), path)
        if other is not path:
            findings.fault(path, f"differs from {other.name} only in upper and lower case", "other names")


def _alike(name: str, names: Iterable[str]) -> str:
    """A hint at the name that was probably meant."""
    near = next((other for other in names if other.casefold() == name.casefold()), None)
    return "" if near is None else f" (there is {near!r}, which differs in upper and lower case)"


def _require_images(files: Mapping[str, Path], images: Mapping[str, Path], findings: Findings) -> None:
    for name, path in files.items():
        if name not in images:
            findings.fault(path, f"has no image {name!r} in {IMAGES}/{_alike(name, images)}", "one for every mask")
        elif is_volume(path) != is_volume(images[name]):
            kinds = ("a volume", "a picture") if is_volume(path) else ("a picture", "a volume")
            findings.fault(path, f"is {kinds[0]} and its image {kinds[1]}", "two of a kind")


def _require_listed(path: Path, table: Mapping[str, Row], images: Mapping[str, Path], findings: Findings) -> None:
    for case, row in table.items():
        if case not in images:
            told = f"line {row.line} names case {case!r}, which has no file in {IMAGES}{_alike(case, images)}"
            findings.fault(path, told, "the name of an image without its ending")
    for name, image in images.items():
        if name not in table:
            findings.fault(image, f"case {name!r} has no line in {path.name}", "a line for every image")


def _patients(table: Mapping[str, Row], images: Iterable[str]) -> dict[str, str]:
    """The patient of each image; one whose patient is not told is a patient of its own."""
    told = {name: table[name].patient if name in table else None for name in images}
    return {name: patient or name for name, patient in told.items()}


def _splits(
    path: Path, table: Mapping[str, Row] | None, patients: Mapping[str, str], findings: Findings
) -> dict[str, str]:
    """The split of each image; an image whose line lacks a good one is left out, which is a fault already."""
    if table is None or all(row.split is None for row in table.values()):
        names = list(patients)
        dealt = split_by_patient(list(patients.values()), FRACTIONS, SEED)
        shares = ", ".join(f"{share:.0%} {split}" for split, share in FRACTIONS.items())
        findings.note(f"no splits are given: patients are dealt by the hash of their names ({shares})")
        return {names[i]: split for split, chosen in dealt.items() for i in chosen}
    splits = {name: row.split for name, row in table.items() if name in patients and row.split is not None}
    of: dict[str, list[str]] = {}
    for name, split in splits.items():
        of.setdefault(patients[name], []).append(split)
    for patient, its in of.items():
        if len(set(its)) > 1:
            findings.fault(
                path, f"patient {patient!r} is in {' and '.join(sorted(set(its)))}", "every patient in one split"
            )
    return splits


def _spacings(
    path: Path, table: Mapping[str, Row], images: Mapping[str, Path], findings: Findings
) -> dict[str, tuple[float, float]]:
    """The spacings that the table gives; of pictures, all or none must have one."""
    told = {name: row.spacing_mm for name, row in table.items() if name in images and row.spacing_mm is not None}
    known = [name for name, image in images.items() if is_volume(image) or (name in table and table[name].spaced)]
    listed = [name for name in images if name in table or not table]  # that a table has no line is a fault already
    if bare := [name for name in listed if known and name not in known]:
        findings.fault(path, f"case {bare[0]!r} has no spacing and case {known[0]!r} has one", "all or none")
    return told


def _require_all_or_none(cases: Iterable[OwnCase], findings: Findings) -> None:
    """In one split, masks and truths are there for every case or for none, as scores of a split count every case."""
    for what, wanted in (("rater", "masks"), ("truth", "truths")):
        has: dict[str, dict[bool, OwnCase]] = {}
        for case in cases:
            there = any(case.masks) if what == "rater" else case.truth is not None
            has.setdefault(case.split, {}).setdefault(there, case)
        for split, one in has.items():
            if len(one) == 2:
                told = f"has no {what}, and case {one[True].name!r} of the same split {split!r} has"
                findings.fault(one[False].image, told, f"{wanted} for every case of a split, or for none")
