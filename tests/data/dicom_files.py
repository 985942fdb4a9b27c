"""Tiny CT series as DICOM files, with any tag changed or taken away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SERIES = "1.2.3.4"
GONE = object()  # as a tag's value: the tag is not there


def hu_of(number: int, size: tuple[int, int] = (6, 5)) -> np.ndarray:
    """What slice `number` holds, in whole Hounsfield units."""
    return np.random.default_rng(number).integers(-1000, 400, size)


def slice_dataset(number: int, **tags) -> Dataset:
    """Slice `number`, at z = 2.5 x number - 7 mm; `tags` are set last."""
    hu = hu_of(number)
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = CTImageStorage
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = f"1.2.3.4.{number + 1}"
    one.file_meta.TransferSyntaxUID = tags.pop("syntax", ExplicitVRLittleEndian)
    one.Modality, one.SeriesInstanceUID, one.InstanceNumber = "CT", SERIES, number + 1
    z_mm = f"{2.5 * number - 7:g}"
    one.ImagePositionPatient, one.SliceLocation = ["-10", "-20.5", z_mm], z_mm
    one.ImageOrientationPatient, one.PixelSpacing = ["1", "0", "0", "0", "1", "0"], ["0.7", "0.7"]
    one.Rows, one.Columns = hu.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.RescaleSlope, one.RescaleIntercept = "1", "-1024"
    one.PixelData = (hu + 1024).astype("<u2").tobytes()
    for name, value in tags.items():
        if value is GONE:
            delattr(one, name)
        else:
            setattr(one, name, value)
    return one


def write_slice(path: Path, number: int, **tags) -> Path:
    """Write slice `number` to `path`, whatever its tags are."""
    slice_dataset(number, **tags).save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, slices: int = 4, **tags) -> list[Path]:
    """Write the slices of one series, all with the same tags changed."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write_slice(folder / f"{number}.dcm", number, **tags) for number in range(slices)]
