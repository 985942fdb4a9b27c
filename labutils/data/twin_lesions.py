"""The twin of ``stapler-lesions``: procedural lesions of one volume, drawn by three procedural raters."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from labutils.core.checks import ConfigError, require
from labutils.core.runtime import numpy_rng_for
from labutils.data.redraw import outline_of, redrawn, smooth_noise
from labutils.data.stapler import FLIPPED_AXES, FLIPPED_READER, READERS

SHAPE = (72, 256, 256)
CENTER, RADII = (36, 156, 164), (27, 60, 54)  # of what holds the lesions; as flipped, it hardly meets itself
VOXELS = 31_000  # of the lesions
WOBBLES = {1: 0.24, 2: 0.39, 3: 0.24}  # rater 2 is the one who differs most, once turned


def write_lesions(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """Three masks as NIfTI files, int32 without sform and qform; rater 2 is stored flipped, and nothing says so.

    Raises:
        ConfigError: more than one volume.
    """
    volumes = cases["volumes"]
    require(volumes == 1, f"a twin can have 1 volume; wanted {volumes}", ConfigError)
    lesions = outline_of(_lesions(numpy_rng_for(seed, "twin lesions")))
    for rater in READERS:
        mask = redrawn(lesions, numpy_rng_for(seed, "twin reader", rater), wobble=WOBBLES[rater], detail=1.0)
        stored = np.flip(mask, FLIPPED_AXES) if rater == FLIPPED_READER else mask
        _write_mask(folder / f"seg_{rater}.nii.gz", stored)


def _lesions(rng: np.random.Generator) -> np.ndarray:
    """A ragged shell and spots beside it, bool of `SHAPE`."""
    axes = np.ogrid[tuple(slice(n) for n in SHAPE)]
    squares = (((x - c) / r) ** 2 for x, c, r in zip(axes, CENTER, RADII, strict=True))
    radius = np.sqrt(sum(squares))  # 1 on the ellipsoid that holds them
    level = 0.5 * smooth_noise(SHAPE, 4, rng) - np.abs(radius - 0.6) * 3 - 9 * np.clip(radius - 1, 0, None)
    return level > np.partition(level.ravel(), -VOXELS)[-VOXELS]


def _write_mask(path: Path, mask: np.ndarray) -> None:
    import nibabel

    image = nibabel.Nifti1Image(mask.astype(np.int32), None)  # no affine: the header says nothing of orientation
    path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))  # without the time, so equal volumes are equal files
