"""The filters of LIDC-IDRI to play with: pick a slice of a nodule, move a filter, see whether it stays and how many do.

Everything is worked out once, in `gather`: which candidates each filter refuses, their areas, their pictures. What a
control changes is then a comparison of arrays, on the page as in Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from labutils.core.checks import require
from labutils.core.runtime import numpy_rng_for
from labutils.core.words import quantity
from labutils.data import texture
from labutils.data.lidc_contours import READERS
from labutils.data.lidc_crops import parse_name
from labutils.data.lidc_native import FILTERS, NativeConfig, NativeSlice, consensus, native_slices
from labutils.data.lidc_protocol import refused_by
from labutils.data.lidc_scans import Scan
from labutils.explore.core import Explorer, module, pack, pack_images, rater_lines
from labutils.viz.filters import REMOVED, kept_or_removed
from labutils.viz.outlines import bar_length
from labutils.viz.preparation import KEPT, Picture

NO_FILTER = NativeConfig(merged=False, min_readers=1, box=False, border="move", area_px=None)
PUBLISHED = NativeConfig(border="drop")
NAMES = {name: {"readers": "raters"}.get(name, name) for name in FILTERS}  # the book says raters


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """All slices of all nodules of some scans, and what each filter needs to know of them."""

    cases: tuple[str, ...]  # (N,)
    nodule: np.ndarray  # int (N,), from 0 up, in order
    annotations: np.ndarray  # int (N,), how many outlined the nodule
    fits: np.ndarray  # bool (N,), the nodule's box fits into the crop
    inside: np.ndarray  # bool (N,), the crop lies inside the scan without being moved
    area_px: np.ndarray  # int (N,), consensus
    images: np.ndarray  # float32 (N, H, W) in [0, 1], procedural
    masks: tuple[np.ndarray, ...]  # bool (R, H, W) each
    spacing_mm: np.ndarray  # float64 (N,)

    @property
    def drew(self) -> np.ndarray:
        """How many raters drew something on each slice: int (N,)."""
        return np.array([int(masks.any(axis=(1, 2)).sum()) for masks in self.masks])

    def position(self, place: int) -> tuple[int, int]:
        """The nodule of a candidate, and which of the nodule's slices it is; both from 0."""
        nodule = int(self.nodule[place])
        return nodule, place - int(np.argmax(self.nodule == nodule))

    def refusals(self, config: NativeConfig) -> list[str | None]:
        """The first filter that refuses each candidate, None where it stays; filters in the order of `FILTERS`."""
        low, high = config.area_px or (-1, np.inf)
        return [
            refused_by(
                ("merged", not config.merged or annotations <= READERS),
                ("readers", annotations >= config.min_readers),
                ("box", not config.box or fits),
                ("border", config.border == "move" or inside),
                ("area", low < area < high),
            )
            for annotations, fits, inside, area in zip(
                self.annotations.tolist(), self.fits.tolist(), self.inside.tolist(), self.area_px.tolist(), strict=True
            )
        ]


def gather(scans: Sequence[Scan], *, seed: int = 0) -> Candidates:
    """The candidates of some scans, with procedural images around their outlines.

    Args:
        scans: opened with or without their DICOM files; pixels are not read.
        seed: of the images' texture.
    Raises:
        InputError: nothing was outlined in any of the scans.
    """
    found = [(scan, one) for scan in scans for one in _passing(scan, NO_FILTER)]
    require(len(found) > 0, "nothing was outlined in these scans; wanted one nodule or more")
    fitting, inside = (
        {one.case for scan in scans for one in _passing(scan, replace(NO_FILTER, **one_filter))}
        for one_filter in ({"box": True}, {"border": "drop"})
    )
    cases = tuple(one.case for _, one in found)
    nodules = list(dict.fromkeys(one.nodule for _, one in found))
    return Candidates(
        cases=cases,
        nodule=np.array([nodules.index(one.nodule) for _, one in found]),
        annotations=np.array([len(one.nodule.annotations) for _, one in found]),
        fits=np.array([case in fitting for case in cases]),
        inside=np.array([case in inside for case in cases]),
        area_px=np.array([int(consensus(one.masks).sum()) for _, one in found]),
        images=np.stack([_painted(scan, one, seed) for scan, one in found]),
        masks=tuple(one.masks.transpose(2, 0, 1) for _, one in found),
        spacing_mm=np.array([scan.pixel_mm for scan, _ in found]),
    )


class Filtered(NamedTuple):
    """What the explorer shows at some values."""

    picture: Picture  # the slice, and in its label whether it stays
    refusals: list[str | None]  # (N,), the first filter that refuses each candidate

    @property
    def removed(self) -> dict[str, int]:
        """How many candidates each filter removes, in the order of `FILTERS`."""
        return {name: self.refusals.count(name) for name in FILTERS}


def filter_value(config: NativeConfig = PUBLISHED, *, nodule: int = 0, index: int = 0) -> dict[str, Any]:
    """The explorer's value for a configuration, with a slice of a nodule; both count from 0."""
    low, high = config.area_px or NativeConfig().area_px or (0, 1)
    return {
        "nodule": nodule,
        "slice": index,
        "merged": config.merged,
        "raters": config.min_readers,
        "box": config.box,
        "border": config.border == "drop",
        "area": config.area_px is not None,
        "low": low,
        "high": high,
    }


def filters_at(candidates: Candidates, value: Mapping[str, Any]) -> Filtered:
    """What the explorer shows at a value.

    Raises:
        InputError: there is no such nodule, or it has no such slice.
        ConfigError: the limits of the area do not rise, or a number of raters is not possible.
    """
    _require_slice(candidates.nodule.tolist(), value)
    place = int(np.argmax(candidates.nodule == value["nodule"])) + value["slice"]
    config = NativeConfig(
        merged=value["merged"],
        min_readers=value["raters"],
        box=value["box"],
        border="drop" if value["border"] else "move",
        area_px=(value["low"], value["high"]) if value["area"] else None,
    )
    refusals = candidates.refusals(config)
    refusal = refusals[place]
    verdict = "stays" if refusal is None else f"removed: {NAMES[refusal]}"
    label = f"{quantity(len(candidates.masks[place]), 'outline')}, {candidates.area_px[place]} px\n{verdict}"
    spacing = (candidates.spacing_mm[place],) * 2
    return Filtered(Picture(label, candidates.images[place], candidates.masks[place], spacing), refusals)


def filters_figure(candidates: Candidates, values: Sequence[Mapping[str, Any]]) -> Figure:
    """The explorer at some values, one row each."""
    found = [filters_at(candidates, value) for value in values]
    named = [{NAMES[name]: count for name, count in one.removed.items()} for one in found]
    return kept_or_removed(
        [(one.picture, len(one.refusals), removed) for one, removed in zip(found, named, strict=True)]
    )


class FilterExplorer(Explorer):
    """Slices of nodules with their raters' outlines, every filter to switch and to move, and how many slices stay.

    ``value``: ``nodule`` and ``slice`` (from 0), ``merged``, ``box``, ``border`` and ``area`` (whether the filter
    works), ``raters`` (1 to 4, the fewest that outlined a nodule), ``low`` and ``high`` (limits of the area in
    pixels, both excluded).
    """

    name = "filters"
    _esm = module("filters")

    def __init__(
        self, candidates: Candidates, *, nodule: int = 0, index: int = 0, config: NativeConfig = PUBLISHED
    ) -> None:
        """Pack all slices.

        Args:
            candidates: from `gather`; a hundred slices are about 400 kB.
            nodule: which is shown first, from 0.
            index: which of its slices is, from 0.
            config: which filters work at first.
        Raises:
            InputError: there is no such nodule, or it has no such slice.
        """
        value = filter_value(config, nodule=nodule, index=index)
        super().__init__(_data(candidates, value["high"]), value)

    def check(self, value: Mapping[str, Any]) -> None:
        """Refuse slices that are not there, and limits that no control reaches."""
        _require_slice(self.data["slices"]["nodule"], value)
        low, high, most = value["low"], value["high"], self.data["most"]
        require(0 <= low < high <= most, f"low, high are {low}, {high}; wanted two rising areas from 0 to {most}")
        raters = value["raters"]
        require(1 <= raters <= READERS, f"raters is {raters}; wanted 1 to {READERS}")


def _require_slice(nodules: Sequence[int], value: Mapping[str, Any]) -> None:
    """Raise unless the slice of the nodule is among the candidates, whose nodules are given."""
    nodule, index, slices = value["nodule"], value["slice"], Counter(nodules)
    require(nodule in slices, f"there is no nodule {nodule}; wanted 0 to {max(nodules)}")
    require(0 <= index < slices[nodule], f"slice is {index}; wanted 0 to {slices[nodule] - 1}")


def _data(candidates: Candidates, high: int) -> dict[str, Any]:
    """All that the module needs; the sliders of the area reach beyond every slice, and beyond `high`."""
    raters = int(candidates.annotations.max())
    _, height, width = candidates.images.shape
    firsts = np.unique(candidates.nodule, return_index=True)[1].tolist()
    return {
        "title": "Filters: slices of nodules, and which of them stay",
        "height": height,
        "width": width,
        "images": pack_images(candidates.images),
        "masks": pack(_bits(candidates.masks, raters)),
        "slices": {
            "nodule": candidates.nodule.tolist(),
            "raters": candidates.annotations.tolist(),
            "fits": candidates.fits.tolist(),
            "inside": candidates.inside.tolist(),
            "area": candidates.area_px.tolist(),
        },
        "nodules": [_nodule(candidates, first) for first in firsts],
        "filters": list(NAMES.items()),
        "raters": rater_lines(raters),
        "readers": READERS,
        "most": 50 * (max(int(candidates.area_px.max()), high) // 50 + 1),
        "colors": {"stays": KEPT, "removed": REMOVED},
    }


def _nodule(candidates: Candidates, first: int) -> dict[str, Any]:
    """A nodule in words, from its first slice, and the scale bar of its pictures."""
    name = parse_name(candidates.cases[first])
    return {
        "label": f"patient {name.patient[-4:]}, nodule {name.nodule + 1}",
        "bar": bar_length((candidates.spacing_mm[first],) * 2, candidates.images.shape[2])._asdict(),
    }


def _bits(masks: Sequence[np.ndarray], raters: int) -> np.ndarray:
    """Masks (R, H, W) of slices as one bit a rater: uint8 (N, P, H, W), as many bytes a pixel as `raters` need."""
    packed = np.zeros((len(masks), -(-raters // 8), *masks[0].shape[1:]), np.uint8)
    for place, one in enumerate(masks):
        found = np.packbits(one, axis=0, bitorder="little")
        packed[place, : len(found)] = found
    return packed


def _passing(scan: Scan, config: NativeConfig) -> list[NativeSlice]:
    removed: Counter[str] = Counter()
    return [one for nodule in scan.nodules for one in native_slices(scan, nodule, config, removed)]


def _painted(scan: Scan, one: NativeSlice, seed: int) -> np.ndarray:
    """A procedural image in which the nodule is as dense as its readers said."""
    scanner = texture.Scanner.draw(numpy_rng_for(seed, "scanner", scan.number))
    look = texture.nodule_look([scan.ratings[annotation] for annotation in one.nodule.annotations], READERS)
    votes = np.clip(one.masks.sum(axis=2) / READERS, 0, 1)
    return texture.ct_crop(votes, look, scanner, pixel_mm=scan.pixel_mm, rng=numpy_rng_for(seed, "slice", one.case))
