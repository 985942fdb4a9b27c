"""LIDC-IDRI nodule crops in Hounsfield units: what preparing DICOM files puts beside the z-scores.

A z-score of a crop says how a pixel compares with the rest of the crop, and forgets how dense it is. Here every case
is seen through one window instead, so equal tissue has equal gray values, and the size of a pixel is known. Files,
masks, names and splits are those of `labutils.data.lidc_crops`, with the folder ``hu`` in the place of ``scans``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from labutils.core.checks import DataError, require
from labutils.data import lidc_crops
from labutils.data.catalog import Dataset
from labutils.data.lidc_crops import Pixels, found_pixels, holds_pixels, load_pixels
from labutils.data.store import Store

WINDOW_HU = (-1000.0, 400.0)  # becomes 0 to 1
FOLDER = "hu"
_LOWEST_HU, _HIGHEST_HU = -10_000.0, 100_000.0  # beyond padding and metal

CARD = replace(
    lidc_crops.CARD,
    name="lidc-crops-hu",
    title="LIDC-IDRI nodule crops in Hounsfield units",
    licence="LIDC-IDRI images and contours under CC BY 3.0",
    homepage="https://www.cancerimagingarchive.net/collection/lidc-idri",
    image="(C, H, W) = (1, 64, 64), window -1000 to 400 HU scaled to [0, 1]",
    how_to_get="fetch the DICOM files of LIDC-IDRI, run labutils data prepare-lidc, and give the folder it made",
    quirks=(
        *(quirk for quirk in lidc_crops.CARD.quirks if "spacing" not in quirk),
        "Patients are split by hash, not as in the public prepared files.",
    ),
    spacing_known=True,
    manifests=(),
)


def load(split: str, root: Path | None, limit: int | None = None) -> Store:
    """One split of the crops; see `labutils.data.catalog.load` for the arguments.

    Returns:
        A memory-mapped store, ordered by patient, nodule and slice; source "your copy" or "twin"; no truth.
    Raises:
        DataError: a file or folder is missing, damaged, or not what its name says; the text names it.
    """
    return load_pixels(HOUNSFIELD, split, root, limit)


def _require_hounsfield(path: Path, values: np.ndarray) -> None:
    """Refuse z-scores and other units, which the window would turn into one gray value."""
    low, high = float(values.min()), float(values.max())
    inside = low > _LOWEST_HU and high < _HIGHEST_HU and high - low > 10
    require(inside, f"{path} runs from {low:.4g} to {high:.4g}; wanted Hounsfield units of tissue and air", DataError)


HOUNSFIELD = Pixels(FOLDER, CARD, WINDOW_HU, _require_hounsfield)
DATASET = Dataset(
    card=CARD,
    load=load,
    folders=("lidc_crops",),
    found=partial(found_pixels, inside=FOLDER),
    holds=partial(holds_pixels, inside=FOLDER),
)
