"""Where the voxels of a volume lie, and the turn from a file's axes to planes that lie the same way in every file.

Planes are ordered from feet to head, rows from front to back, columns from the patient's right to the left, as an
axial slice is shown to a radiologist. Axes are turned and flipped to the nearest such orientation, never resampled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from labutils.core.checks import require, require_shape

COLUMNS_ROWS_PLANES = "LPS"  # where they lead: to the left, the back (posterior) and the head (superior)
TOLERANCE_MM = 1e-3  # how far apart two grids may place a voxel and still count as the same


class Grid(NamedTuple):
    """Where a file's voxels lie."""

    shape: tuple[int, int, int]  # of the file's own axes (i, j, k)
    affine: np.ndarray  # float64 (4, 4): (i, j, k, 1) to mm toward the patient's right, front and head
    placed: bool = True  # False: the header says nothing of orientation, and the affine is a guess from voxel sizes

    @property
    def axes(self) -> str:
        """Where i, j and k lead, e.g. "RAS": to the right, the front (anterior) and the head (superior)."""
        from nibabel.orientations import aff2axcodes

        return "".join(aff2axcodes(self.affine))

    @property
    def planes(self) -> tuple[int, int, int]:
        """(D, H, W) of the volume as planes."""
        goes_to = _turns(self.axes, COLUMNS_ROWS_PLANES)[:, 0].astype(int)
        width, height, depth = (self.shape[axis] for axis in goes_to.argsort())
        return depth, height, width

    @property
    def plane_affine(self) -> np.ndarray:
        """float64 (4, 4): (column, row, plane, 1) to mm, as for ``affine``."""
        from nibabel.orientations import inv_ornt_aff

        return self.affine @ inv_ornt_aff(_turns(self.axes, COLUMNS_ROWS_PLANES), self.shape)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances of neighboring planes, rows and columns, in mm."""
        column, row, plane = np.linalg.norm(self.plane_affine[:3, :3], axis=0)
        return float(plane), float(row), float(column)

    def facts(self) -> str:
        """The grid in words, for a person who compares two."""
        size = " x ".join(map(str, self.shape))
        voxel = " x ".join(f"{length:.5g}" for length in np.linalg.norm(self.affine[:3, :3], axis=0))
        origin = ", ".join(f"{place:.7g}" for place in self.affine[:3, 3])
        return f"{size} voxels {self.axes} of {voxel} mm from ({origin}) mm"


def to_planes(array: np.ndarray, grid: Grid) -> np.ndarray:
    """A file's array (I, J, K) as planes (D, H, W); a view."""
    return _turned(array, grid.axes, COLUMNS_ROWS_PLANES).transpose(2, 1, 0)


def planes_to_volume(planes: np.ndarray, grid: Grid) -> np.ndarray:
    """Planes put back into a file's grid: each voxel where it came from, bit for bit.

    Args:
        planes: any dtype (D, H, W) of the grid's planes; what was padded below and to the right is cut off.
        grid: of the file that the planes came from.
    Returns:
        (I, J, K) of the planes' dtype.
    Raises:
        InputError: another number of planes, or planes smaller than the grid's.
    """
    depth, height, width = grid.planes
    here = require_shape("planes", planes, "DHW", D=depth)
    fits = here["H"] >= height and here["W"] >= width
    require(fits, f"planes are {here['H']} x {here['W']} pixels; wanted {height} x {width} or more")
    return _turned(planes[:, :height, :width].transpose(2, 1, 0), COLUMNS_ROWS_PLANES, grid.axes)


def distance_mm(a: Grid, b: Grid) -> float:
    """How far apart two grids place the same voxel of their planes, at most, in mm; infinite where sizes differ."""
    if a.planes != b.planes:
        return math.inf
    return corner_distance_mm(a.planes[::-1], a.plane_affine, b.plane_affine)


def corner_distance_mm(shape: Sequence[int], a: np.ndarray, b: np.ndarray) -> float:
    """How far apart two affines place a corner of an array, at most, in mm; no voxel is farther."""
    corners = [[*(i * (size - 1) for i, size in zip(at, shape, strict=True)), 1] for at in np.ndindex(2, 2, 2)]
    return float(np.linalg.norm((np.array(corners) @ (a - b).T)[:, :3], axis=1).max())


def _turns(axes: str, wanted: str) -> np.ndarray:
    """nibabel's table (3, 2) of where each axis goes and whether it is flipped."""
    from nibabel.orientations import axcodes2ornt, ornt_transform

    return ornt_transform(axcodes2ornt(tuple(axes)), axcodes2ornt(tuple(wanted)))


def _turned(array: np.ndarray, axes: str, wanted: str) -> np.ndarray:
    from nibabel.orientations import apply_orientation

    return apply_orientation(array, _turns(axes, wanted))
