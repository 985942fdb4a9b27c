"""One CT series as DICOM files: found, checked, and read slice by slice in Hounsfield units.

Only what is named here is read from a file's header, and no text of it is passed on: identifiers never reach an
error, a log or a result. Geometry is checked for the whole series before any pixel is decoded; pixels are decoded
slice by slice, when they are asked for.

A ``DICOMDIR`` is never followed: series are found by walking the folder.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from labutils.core.checks import DataError, require
from labutils.data.dicom_header import TOLERANCE_MM, Header, quiet_pydicom, read_header


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """The slices of one axial CT series, by ascending z."""

    folder: Path
    files: tuple[Path, ...]  # (D,)
    size: tuple[int, int]  # H, W
    pixel_mm: tuple[float, float]  # row, column
    positions_mm: np.ndarray  # float64 (D,): z of the slices, ascending
    locations_mm: np.ndarray  # float64 (D,): SliceLocation as written, NaN where it is missing
    duplicates: int = 0  # slices left out because another had their place
    to_hu: np.ndarray = field(repr=False)  # float64 (D, 2): slope and intercept

    def slice_hu(self, index: int) -> np.ndarray:
        """Slice `index` in Hounsfield units, float32 (H, W), decoded anew at every call.

        Raises:
            DataError: its pixels cannot be decoded, or are cut short; the text names the file.
        """
        slope, intercept = self.to_hu[index]
        pixels = _read_pixels(self.files[index], self.size)
        return (pixels * np.float64(slope) + np.float64(intercept)).astype(np.float32)


def find_series(root: Path) -> dict[str, list[Path]]:
    """The folders below `root` that hold DICOM files, by the series of their first readable file.

    Links to folders are followed, each folder once.

    Raises:
        DataError: `root` is not a folder, or holds no DICOM file that can be read.
    """
    require(root.is_dir(), f"there is no folder {root}; wanted the one that holds the DICOM files", DataError)
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in _folders(root):
        for path in _dicom_files(folder):
            uid = _series_of(path)
            if uid is not None:
                found[uid].append(folder)
                break
    require(found, f"{root} holds no DICOM file that can be read; wanted files of a CT series", DataError)
    return dict(found)


def read_series(folder: Path, *, duplicates: Literal["refuse", "first-instance"] = "refuse") -> Series:
    """The one series in `folder`, its geometry checked and its pixels not yet read.

    Args:
        folder: holds the DICOM files of one series, and other files at will; folders inside it are not looked at.
        duplicates: what to do with slices at one position: refuse them, or take the one with the lowest
            InstanceNumber.
    Raises:
        DataError: a file is damaged, is no axial CT slice of one frame and one channel, lacks its position, spacing
            or rescaling, or disagrees with the others in series, size, spacing or place; the text names the file.
    """
    paths = _dicom_files(folder)
    require(paths, f"{folder} holds no DICOM file; wanted the slices of a CT series", DataError)
    headers = [header for path in paths if (header := read_header(path)) is not None]
    require(headers, f"{folder} holds a DICOMDIR and no slice; wanted the slices of a CT series", DataError)
    for header in headers:
        _require_alike(header, headers[0])
    kept = _without_duplicates(sorted(headers, key=lambda one: one.position[2]), duplicates)
    return Series(
        folder=folder,
        files=tuple(one.path for one in kept),
        size=kept[0].size,
        pixel_mm=kept[0].pixel_mm,
        positions_mm=np.array([one.position[2] for one in kept]),
        locations_mm=np.array([one.location for one in kept]),
        duplicates=len(headers) - len(kept),
        to_hu=np.array([one.to_hu for one in kept]),
    )


def _folders(root: Path) -> Iterator[Path]:
    seen = set()
    for folder, inside, _ in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            inside.clear()  # a link back to where we have been
            continue
        seen.add(real)
        inside.sort()
        yield Path(folder)


def _dicom_files(folder: Path) -> list[Path]:
    """Files called ``.dcm``, and others that begin as DICOM files do; in alphabetical order."""
    paths = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return sorted(path for path in paths if path.suffix.lower() == ".dcm" or _begins_as_dicom(path))


def _begins_as_dicom(path: Path) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _series_of(path: Path) -> str | None:
    with quiet_pydicom() as pydicom:
        try:
            read = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
            return str(read.SeriesInstanceUID).strip() or None
        except Exception:  # a damaged file makes pydicom raise nearly anything; read_series says what is wrong
            return None


def _require_alike(header: Header, first: Header) -> None:
    """Refuse a slice of another series, size, spacing or place in the plane than the first file's."""
    path, other = header.path, first.path.name
    require(header.uid == first.uid, f"{path} is of another series than {other}; wanted one series a folder", DataError)
    for what, here, there in (
        ("pixels", header.size, first.size),
        ("mm a pixel", header.pixel_mm, first.pixel_mm),
        ("mm as its corner", header.position[:2], first.position[:2]),
    ):
        same = np.allclose(here, there, rtol=0, atol=TOLERANCE_MM)
        require(same, f"{path} has {here} {what} and {other} {there}; wanted them equal", DataError)


def _without_duplicates(headers: list[Header], rule: str) -> list[Header]:
    """`headers` by ascending z, one for each position."""
    kept = [headers[0]]
    for header in headers[1:]:
        before = kept[-1]
        if header.position[2] - before.position[2] > TOLERANCE_MM:
            kept.append(header)
            continue
        told_apart = None not in (header.instance, before.instance) and header.instance != before.instance
        if rule == "refuse" or not told_apart:
            where = f"{header.path} and {before.path.name} lie at the same z = {header.position[2]:g} mm"
            raise DataError(f"{where}; wanted one slice for each position")
        kept[-1] = min(header, before, key=lambda one: one.instance or 0)
    return kept


def _read_pixels(path: Path, size: tuple[int, int]) -> np.ndarray:
    fault = ""
    with quiet_pydicom() as pydicom:
        try:
            pixels = pydicom.dcmread(path).pixel_array
        except Exception as error:  # no decoder, or any damage
            fault = type(error).__name__
    # Not inside the except: an error raised there keeps pydicom's, whose text may repeat the header.
    wanted = "a whole file in a compression that pydicom can decode here, or none"
    require(not fault, f"the pixels of {path} cannot be decoded ({fault}); wanted {wanted}", DataError)
    require(pixels.shape == size, f"{path} holds {pixels.shape} pixels; its header says {size}", DataError)
    return pixels
