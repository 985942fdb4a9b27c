"""Lesions of one brain drawn by three raters, a whole volume each: masks without the scan.

The layout is that of the public original, the R package stapler::

    <root>/seg_<k>.nii.gz    whole numbers (72, 256, 256), 0 or 1; raters k = 1, 2, 3

Rater 2 is stored flipped along the first two axes, although the three headers are equal: as stored, rater 2 hardly
meets the others. `read_masks` gives what is stored unless it is told otherwise, and
`labutils.consensus.odd_raters.odd_raters` finds the flip.

There is no image, so there is nothing to train on: the catalog knows the card, and loading a split is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from labutils.core.checks import DataError, require
from labutils.data.cards import Card
from labutils.data.catalog import Dataset
from labutils.data.grids import Grid, planes_to_volume
from labutils.data.store import Store
from labutils.data.volumes import read_volume

READERS = (1, 2, 3)
FLIPPED_READER, FLIPPED_AXES = 2, (0, 1)

CARD = Card(
    name="stapler-lesions",
    title="Brain lesions of one volume drawn by three raters (masks only)",
    what="Three raters' lesion masks of one brain, 3D, without the scan: an example for fusing labels.",
    licence="GPL-3, as the R package stapler that they come with",
    citation="Muschelli, stapler: Simultaneous Truth and Performance Level Estimation, R package",
    homepage="https://github.com/muschellij2/stapler/tree/master/inst/extdata",
    raters="3 raters of one volume: rater 1, rater 2, rater 3",
    identified=True,
    classes=2,
    image="none; masks are (D, H, W) = (72, 256, 256) voxels of 1 mm",
    splits=("all",),
    how_to_get="copy the files seg_1.nii.gz to seg_3.nii.gz of the homepage and give their folder in LABUTILS_DATA",
    quirks=(
        "Rater 2 is stored flipped along the first two axes while the headers say the same of all three; it is read "
        "as stored unless read_masks is told to turn it back.",
        "The headers say nothing of orientation (no sform, no qform): which axis is left to right is not known.",
        "There is no image, so no split can be loaded or trained on: use labutils.data.stapler.read_masks.",
    ),
)


class Readings(NamedTuple):
    """The masks of one volume."""

    masks: np.ndarray  # uint8 (R, D, H, W), 0 or 1; D, H, W are the file's axes in their stored order
    spacing_mm: tuple[float, float, float]  # along D, H, W
    names: tuple[str, ...]  # (R,)


def read_masks(folder: str | Path, *, turn_reader_2: bool = False) -> Readings:
    """The three raters' masks as they are stored.

    Args:
        folder: holds seg_1.nii.gz to seg_3.nii.gz.
        turn_reader_2: flip rater 2 along the first two axes, so that it lies as the others do; its name says so.
    Raises:
        DataError: a file is missing, damaged, no NIfTI volume or no mask, or the files have different grids; the text
            names the file.
    """
    masks, grids, names = [], [], []
    for rater in READERS:
        path = Path(folder) / f"seg_{rater}.nii.gz"
        stored, grid = _read_stored(path)
        grids.append(grid)
        alike = grid.shape == grids[0].shape and np.allclose(grid.affine, grids[0].affine)
        require(alike, f"{path} has {grid.facts()} and the first rater {grids[0].facts()}; wanted one grid", DataError)
        turned = turn_reader_2 and rater == FLIPPED_READER
        masks.append(np.flip(stored, FLIPPED_AXES) if turned else stored)
        names.append(f"rater {rater}, turned" if turned else f"rater {rater}")
    depth, row, column = np.linalg.norm(grids[0].affine[:3, :3], axis=0).tolist()
    return Readings(np.stack(masks), (depth, row, column), tuple(names))


def _read_stored(path: Path) -> tuple[np.ndarray, Grid]:
    """A mask uint8 (I, J, K) in the file's own order of axes, and its grid."""
    planes, grid = read_volume(path)
    stored = planes_to_volume(planes, grid)
    binary = bool(((stored == 0) | (stored == 1)).all())
    require(binary, f"{path} holds values from {stored.min()} to {stored.max()}; wanted 0 and 1 only", DataError)
    return stored.astype(np.uint8), grid


def load(split: str, root: Path | None, limit: int | None = None) -> Store:
    """Refused always: a store holds images, and there is none.

    Raises:
        DataError: always.
    """
    where = root or "its folder"
    raise DataError(f"{CARD.name} has masks of a volume and no image; use labutils.data.stapler.read_masks on {where}")


def _found(folder: Path) -> bool:
    return all((folder / f"seg_{rater}.nii.gz").is_file() for rater in READERS)


def _holds(folder: Path, split: str) -> bool:
    return False  # nothing that can be loaded


DATASET = Dataset(
    card=CARD, load=load, folders=("staple_ms_lesion", "stapler/inst/extdata", "extdata"), found=_found, holds=_holds
)
