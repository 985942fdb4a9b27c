"""LIDC-IDRI nodule crops as prepared files: one TIFF per slice, and one with every rater's mask.

The layout is that of the public original::

    <root>/<split>/scans/pid_<patient>_nod_<nodule>_slice_<index>.tif    float (1, H, W), z-scored per slice
    <root>/<split>/masks/annots/<the same name>                          bool (1, H, W, R), R raters, last axis
    <root>/<split>/masks/GT/<the same name>                              bool (1, H, W), optional consensus
    <root>/meta/metadata.csv                                             one row per nodule, optional

Scans hold no Hounsfield values. They are mapped to [0, 1] by one rule for every case, so nothing passes from one
split to another: z is clipped to `WINDOW_Z` and scaled. In the public files fewer than 0.1 % of the pixels lie
outside on either side. The consensus is not a truth of its own; it is only checked against the raters (2v >= R).

A split is read and checked once, then kept as a memory-mapped store. A split without ``masks/annots`` gives a store
with ``labeled`` False.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from labutils.core.checks import DataError, require
from labutils.data.cards import Card
from labutils.data.catalog import Dataset
from labutils.data.lidc_contours import RATINGS
from labutils.data.prepared import files_key, prepared_store, require_folder, source_of
from labutils.data.store import Store
from labutils.data.tiff import read_tiff, require_binary

READER_VERSION = 1  # raise it when the same files would give another store
WINDOW_Z = (-3.0, 6.0)  # standard deviations of the slice; becomes 0 to 1
Z_TOLERANCE = 0.1  # how far a slice's mean may be from 0 and its standard deviation from 1
_NAME = re.compile(r"pid_(\d+)_nod_(\d+)_slice_(\d+)")

CARD = Card(
    name="lidc-crops",
    title="LIDC-IDRI nodule crops, 2 to 4 raters",
    what="CT crops of 64 x 64 pixels centered on a lung nodule, with the mask of every radiologist who marked it.",
    licence="MIT for the prepared files; LIDC-IDRI images and contours under CC BY 3.0",
    citation="Armato et al., Medical Physics 38(2), 2011; The Cancer Imaging Archive, 10.7937/K9/TCIA.2015.LO9QL9SX",
    homepage="https://github.com/rCampSemp/learn-vae-noisy-label",
    raters="2 to 4 anonymous radiologists per nodule, in no fixed order",
    identified=False,
    classes=2,
    image="(C, H, W) = (1, 64, 64), z-scores of a CT slice clipped to [-3, 6] and scaled to [0, 1]",
    splits=("train", "validate", "test"),
    how_to_get="copy the folder LIDC_examples of the homepage and give its path as root or in LABUTILS_DATA",
    quirks=(
        "A radiologist who did not mark the nodule is absent, so fewer than four raters is missing data.",
        "A radiologist who marked the nodule can have an empty mask on one of its slices.",
        "Slices whose consensus covers at most 30 or at least 800 pixels were dropped when the files were made.",
        "Pixel spacing is not kept: spacing_mm is 1.0 and counts pixels.",
        "A few patients give many of the slices, so intervals resample patients.",
    ),
    spacing_known=False,
    manifests=(  # of the files in commit 9ee49f1ad217 of the homepage
        ("train", "1320b09a762c38ccde642c52a9dbd09324866330e649877e75b7f0d6b9c07988"),
        ("validate", "354192e3be8ef10d03fe7b4dd7030ea9202c5d0f423a7505eb1663ceeb2471a1"),
    ),
)


class SliceName(NamedTuple):
    """What a file name says; the patient as LIDC-IDRI writes it, so that ids agree between datasets."""

    patient: str  # e.g. "LIDC-IDRI-0048"
    nodule: int
    slice_index: int  # within the nodule


class NoduleRow(NamedTuple):
    """One row of the metadata: a nodule, its ratings averaged over radiologists, its consensus area per slice."""

    patient: str
    nodule: int
    ratings: dict[str, float]  # the nine characteristics of `RATINGS`, each 1 to 6
    areas_px: tuple[int, ...]
    pixel_mm: float | None  # of the scan; None where the table has no such column


def parse_name(stem: str) -> SliceName:
    """Read ``pid_0048_nod_2_slice_3``, a file name without its ending, which is also the case id.

    Raises:
        DataError: the name has another form.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        raise DataError(f"file name {stem!r} has another form; wanted pid_<patient>_nod_<nodule>_slice_<index>")
    patient, nodule, index = match.groups()
    return SliceName(f"LIDC-IDRI-{patient}", int(nodule), int(index))


class Pixels(NamedTuple):
    """What the gray values of the files are, and how they become an image."""

    folder: str  # of a split
    card: Card
    window: tuple[float, float]  # becomes 0 to 1
    check: Callable[[Path, np.ndarray], None]  # refuses values in another unit


def load(split: str, root: Path | None, limit: int | None = None) -> Store:
    """One split of the prepared crops; see `labutils.data.catalog.load` for the arguments.

    Returns:
        A memory-mapped store, ordered by patient, nodule and slice; source "your copy" or "twin"; no truth.
    Raises:
        DataError: a file or folder is missing, damaged, or not what its name says; the text names it.
    """
    return load_pixels(Z_SCORES, split, root, limit)


def load_pixels(pixels: Pixels, split: str, root: Path | None, limit: int | None) -> Store:
    """`load` for either kind of pixels; spacing is read from the table of nodules where the card says it is known."""
    root = require_folder(root, pixels.card)
    scans = _scan_files(root, split, pixels.folder)
    files = [path for folder in (pixels.folder, "masks") for path in (root / split / folder).rglob("*.tif")]
    files += [root / "meta" / "metadata.csv"] if pixels.card.spacing_known else []
    key = files_key(root, files, READER_VERSION, pixels.card)
    make = partial(_read_split, root, split, scans, pixels)
    return prepared_store(f"{pixels.card.name}-{split}", key, make).first(limit)


def read_metadata(root: str | Path) -> tuple[NoduleRow, ...]:
    """The rows of ``meta/metadata.csv``: ratings and areas of every nodule, some of which have no slice.

    Raises:
        DataError: the file is missing, lacks a column, or has a value that does not parse; the text names the line.
    """
    path = Path(root) / "meta" / "metadata.csv"
    wanted = ("patient_id", "nodule_no", *RATINGS, "nod_sz_per_slice")
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            missing = [column for column in wanted if column not in (reader.fieldnames or ())]
            require(not missing, f"{path} has no column {missing[:1]}; wanted {', '.join(wanted)}", DataError)
            return tuple(_nodule_row(row, f"{path}, line {reader.line_num}") for row in reader)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a table of comma-separated values: {error}") from error


def _nodule_row(row: dict[str, Any], where: str) -> NoduleRow:
    try:
        areas = tuple(int(area) for area in json.loads(row["nod_sz_per_slice"]))
        ratings = {name: float(row[name]) for name in RATINGS}
        patient, pixel_mm = f"LIDC-IDRI-{int(row['patient_id']):04d}", row.get("pixel_mm")
        return NoduleRow(patient, int(row["nodule_no"]), ratings, areas, float(pixel_mm) if pixel_mm else None)
    except (ValueError, TypeError) as error:
        raise DataError(f"{where} does not parse: {error}") from error


def holds_pixels(folder: Path, split: str, inside: str = "scans") -> bool:
    """Whether a folder has files of one kind of pixels for a split."""
    return (folder / split / inside).is_dir()


def found_pixels(folder: Path, inside: str = "scans") -> bool:
    """Whether a folder has files of one kind of pixels for any split."""
    return any(holds_pixels(folder, split, inside) for split in CARD.splits)


def _scan_files(root: Path, split: str, inside: str) -> list[Path]:
    """The scans of a split in order of patient, nodule and slice; refuses folders of another kind."""
    require(root.is_dir(), f"{root} is not a folder; wanted the one that holds {' or '.join(CARD.splits)}", DataError)
    there = [name for name in CARD.splits if holds_pixels(root, name, inside)]
    if not there:
        within = (root / inside).is_dir() or any(root.glob("*.tif"))
        hint = "it looks like a folder inside the dataset" if within else f"none of them has a folder {inside!r}"
        raise DataError(f"{root} is not the dataset's folder: wanted {' or '.join(CARD.splits)} in it, and {hint}")
    if split not in there:
        raise DataError(f"{root} has no files for the split {split!r}; it has {', '.join(there)}")
    files = list((root / split / inside).glob("*.tif"))
    require(files, f"{root / split / inside} holds no .tif file", DataError)
    return sorted(files, key=lambda path: parse_name(path.stem))


def _read_split(root: Path, split: str, scans: list[Path], pixels: Pixels) -> Store:
    image = _read_scans(scans, pixels)
    annots = root / split / "masks" / "annots"
    if annots.exists():
        _require_same_names(scans, annots)
        masks, present = _read_masks(scans, annots, image.shape[-2:])
        _require_consensus(scans, root / split / "masks" / "GT", masks, present)
    else:
        masks, present = np.zeros_like(image, np.uint8), np.zeros((len(scans), 1), bool)
    return Store(
        image=image,
        masks=masks,
        present=present,
        spacing_mm=_spacing_mm(root, scans) if pixels.card.spacing_known else np.ones((len(scans), 2)),
        patients=tuple(parse_name(path.stem).patient for path in scans),
        cases=tuple(path.stem for path in scans),
        card=pixels.card,
        split=split,
        source=source_of(root),
    )


def _read_scans(scans: list[Path], pixels: Pixels) -> np.ndarray:
    """float32 (N, 1, H, W) in [0, 1]."""
    image: list[np.ndarray] = []
    low, high = pixels.window
    for path in scans:
        values = read_tiff(path, "1HW", "f").astype(np.float64)
        require(np.isfinite(values).all(), f"{path} has values that are NaN or infinite", DataError)
        pixels.check(path, values)
        if image and values.shape != image[0].shape:
            raise DataError(f"{path} has shape {values.shape} and {scans[0].name} {image[0].shape}; wanted one size")
        image.append(((np.clip(values, low, high) - low) / (high - low)).astype(np.float32))
    return np.stack(image)


def _spacing_mm(root: Path, scans: list[Path]) -> np.ndarray:
    """float64 (N, 2): the pixel size of every slice's nodule, rows and columns."""
    sizes = {(row.patient, row.nodule): row.pixel_mm for row in read_metadata(root)}
    spacing = []
    for path in scans:
        name = parse_name(path.stem)
        pixel_mm = sizes.get((name.patient, name.nodule))
        if pixel_mm is None:
            raise DataError(f"{root / 'meta' / 'metadata.csv'} has no pixel_mm for {path.stem}; wanted its nodule's")
        spacing.append((pixel_mm, pixel_mm))
    return np.array(spacing)


def _require_z_scores(path: Path, z: np.ndarray) -> None:
    """Refuse gray values in another unit, which the window would turn into a nearly flat or a black and white image."""
    mean, deviation = float(z.mean()), float(z.std())
    flat = deviation == 0  # one gray value has no deviation to scale to 1
    if abs(mean) > Z_TOLERANCE or (not flat and abs(deviation - 1) > Z_TOLERANCE):
        raise DataError(
            f"{path} has mean {mean:.3g} and standard deviation {deviation:.3g}; wanted a slice with 0 and 1"
        )


def _require_same_names(scans: list[Path], annots: Path) -> None:
    wanted, there = {path.name for path in scans}, {path.name for path in annots.glob("*.tif")}
    if bare := sorted(wanted - there):
        raise DataError(f"{scans[0].parent / bare[0]} has no masks in {annots} ({len(bare)} such scans in all)")
    if bare := sorted(there - wanted):
        raise DataError(f"{annots / bare[0]} has no scan in {scans[0].parent} ({len(bare)} such masks in all)")


def _read_masks(scans: list[Path], annots: Path, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, R, H, W) and bool (N, R), raters padded to the most any slice has."""
    drawn: list[np.ndarray] = []  # (R, H, W) each
    for scan in scans:
        mask = read_tiff(annots / scan.name, "1HWR", "bu")[0]
        require_binary(annots / scan.name, mask, size)
        drawn.append(mask.transpose(2, 0, 1).astype(np.uint8))
    masks = np.zeros((len(drawn), max(map(len, drawn)), *size), np.uint8)
    present = np.zeros(masks.shape[:2], bool)
    for i, one in enumerate(drawn):
        masks[i, : len(one)], present[i, : len(one)] = one, True
    return masks, present


def _require_consensus(scans: list[Path], folder: Path, masks: np.ndarray, present: np.ndarray) -> None:
    """Where consensus files are given, they must be the raters' own: foreground where 2v >= R, ties included."""
    for i, scan in enumerate(scans):
        path = folder / scan.name
        if path.exists():
            votes, raters = masks[i].sum(axis=0, dtype=np.int64), int(present[i].sum())
            same = np.array_equal(read_tiff(path, "1HW", "bu")[0], 2 * votes >= raters)
            require(same, f"{path} is not the consensus (2v >= R) of {raters} raters' masks", DataError)


Z_SCORES = Pixels("scans", CARD, WINDOW_Z, _require_z_scores)
DATASET = Dataset(card=CARD, load=load, folders=("lidc_crops", "LIDC_examples"), found=found_pixels)
