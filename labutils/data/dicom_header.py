"""The header of one CT slice as a DICOM file: the few facts that are used, each checked, and nothing else.

No text of a header is passed on, not even in an error or in the error behind it: identifiers stay where they are.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from labutils.core.checks import DataError, require

MAX_SIDE = 4096  # pixels; a header that claims more is refused before anything is decoded
TOLERANCE_MM = 1e-3
_TAGS = (
    "SeriesInstanceUID",
    "Modality",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "BitsAllocated",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceLocation",
    "InstanceNumber",
    "RescaleSlope",
    "RescaleIntercept",
)
_DICOMDIR = "1.2.840.10008.1.3.10"  # what a directory of files says it is


class Header(NamedTuple):
    """The facts of one slice, checked; the series id is for comparing, never for showing."""

    path: Path
    uid: str
    size: tuple[int, int]
    pixel_mm: tuple[float, float]
    position: tuple[float, float, float]
    location: float  # NaN where it is missing
    instance: int | None
    to_hu: tuple[float, float]  # slope, intercept


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[Any]:
    """pydicom without its warnings, its log and its checks of values, whose texts repeat what a header says."""
    import pydicom
    from pydicom.config import disable_value_validation

    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield pydicom
    finally:
        log.setLevel(level)


def read_header(path: Path) -> Header | None:
    """What a slice's header says, checked; None for a DICOMDIR."""
    fault = ""
    with quiet_pydicom() as pydicom:
        try:
            read = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            facts = {name: read.get(name) for name in _TAGS}
            compressed = bool(read.file_meta.TransferSyntaxUID.is_compressed)
            directory = read.file_meta.get("MediaStorageSOPClassUID") == _DICOMDIR
        except Exception as error:  # damage makes pydicom raise nearly anything
            fault = type(error).__name__
    # Not inside the except: an error raised there keeps pydicom's, whose text may repeat the header.
    require(not fault, f"{path} cannot be read as DICOM ({fault}); wanted a CT slice", DataError)
    if directory:
        return None
    rows, columns = _require_ct(path, facts)
    spacing = _numbers(path, facts, "PixelSpacing", 2)
    require(min(spacing) > 0, f"{path} has PixelSpacing {spacing}; wanted two positive sizes in mm", DataError)
    if not compressed:
        bits = int(_numbers(path, facts, "BitsAllocated", 1)[0])
        whole = path.stat().st_size >= rows * columns * bits // 8
        require(whole, f"{path} is cut short: its pixels are fewer than {rows} x {columns}", DataError)
    _require_axial(path, _numbers(path, facts, "ImageOrientationPatient", 6))
    x_mm, y_mm, z_mm = _numbers(path, facts, "ImagePositionPatient", 3)
    instance = _numbers(path, facts, "InstanceNumber", 1)[0] if facts["InstanceNumber"] is not None else None
    location = _numbers(path, facts, "SliceLocation", 1)[0] if facts["SliceLocation"] is not None else math.nan
    return Header(
        path=path,
        uid=str(facts["SeriesInstanceUID"] or "").strip(),
        size=(rows, columns),
        pixel_mm=(spacing[0], spacing[1]),
        position=(x_mm, y_mm, z_mm),
        location=location,
        instance=None if instance is None else int(instance),
        to_hu=(_numbers(path, facts, "RescaleSlope", 1)[0], _numbers(path, facts, "RescaleIntercept", 1)[0]),
    )


def _require_ct(path: Path, facts: dict[str, Any]) -> tuple[int, int]:
    """Refuse what is no single gray CT slice of a size that can be; returns rows and columns."""
    require(facts["Modality"] == "CT", f"{path} is not CT; wanted the slices of a CT series", DataError)
    gray = facts["SamplesPerPixel"] == 1 and facts["PhotometricInterpretation"] == "MONOCHROME2"
    require(gray, f"{path} holds colors or inverted gray; wanted one channel, MONOCHROME2", DataError)
    frames = _numbers(path, facts, "NumberOfFrames", 1)[0] if facts["NumberOfFrames"] is not None else 1
    require(frames == 1, f"{path} holds {frames:g} frames; wanted one slice a file", DataError)
    rows, columns = (int(_numbers(path, facts, name, 1)[0]) for name in ("Rows", "Columns"))
    fits = 1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE
    require(fits, f"{path} claims {rows} x {columns} pixels; wanted 1 to {MAX_SIDE} a side", DataError)
    return rows, columns


def _numbers(path: Path, facts: dict[str, Any], name: str, count: int) -> tuple[float, ...]:
    """The numbers of a tag; a value that is none is not repeated in the error."""
    value = facts[name]
    require(
        value is not None and value != "", f"{path} has no {name}; wanted it in the header of every slice", DataError
    )
    listed = [value] if count == 1 else value
    try:
        numbers = tuple(float(one) for one in listed)
    except (TypeError, ValueError):
        numbers = ()
    good = len(numbers) == count and all(map(math.isfinite, numbers))
    require(good, f"{path} has a {name} that is not {count} finite numbers", DataError)
    return numbers


def _require_axial(path: Path, direction: Sequence[float]) -> None:
    """The slice's normal must be the z axis, and rows and columns along x and y; either sense will do."""
    along = np.abs(np.array(direction).reshape(2, 3))
    axial = np.allclose(along.max(axis=1), 1, atol=TOLERANCE_MM) and np.allclose(along[:, 2], 0, atol=TOLERANCE_MM)
    crossed = np.allclose(along[0] * along[1], 0, atol=TOLERANCE_MM)
    require(axial and crossed, f"{path} is not an axial slice; wanted rows and columns along x and y", DataError)
