"""The filters of LIDC-IDRI to play with: pick a slice of a nodule, move a filter, see whether it stays and how many do.

Everything is worked out once, in `gather`: which candidates each filter refuses, their areas, their pictures. What a
control changes is then a comparison of arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from labutils.core.checks import require
from labutils.core.runtime import numpy_rng_for
from labutils.data import texture
from labutils.data.lidc_contours import READERS
from labutils.data.lidc_native import FILTERS, NativeConfig, NativeSlice, consensus, native_slices
from labutils.data.lidc_protocol import refused_by
from labutils.data.lidc_scans import Scan
from labutils.explore.core import explorer
from labutils.viz.filters import kept_or_removed
from labutils.viz.preparation import Picture

NO_FILTER = NativeConfig(merged=False, min_readers=1, box=False, border="move", area_px=None)


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


def filters_at(candidates: Candidates, nodule: int, index: int, config: NativeConfig) -> tuple[Picture, int, dict]:
    """What `kept_or_removed` shows for one slice of a nodule under some filters; an index too high means the last."""
    places = np.flatnonzero(candidates.nodule == nodule)
    require(len(places) > 0, f"there is no nodule {nodule}; wanted 0 to {candidates.nodule.max()}")
    place = int(places[min(index, len(places) - 1)])
    refusals = candidates.refusals(config)
    removed = Counter(refusals)
    verdict = "stays" if refusals[place] is None else f"removed: {refusals[place]}"
    label = f"{len(candidates.masks[place])} raters, {candidates.area_px[place]} px\n{verdict}"
    spacing = (candidates.spacing_mm[place],) * 2
    picture = Picture(label, candidates.images[place], candidates.masks[place], spacing)
    return picture, len(refusals), {name: removed[name] for name in FILTERS}


def filter_explorer(candidates: Candidates) -> widgets.VBox:
    """Choose a nodule, a slice and the filters; the picture says whether the slice stays, the bars how many do."""
    slices = np.bincount(candidates.nodule)

    def render(
        nodule: int, index: int, merged: bool, min_readers: int, box: bool, border: bool, area: tuple[int, int]
    ) -> Figure:
        config = NativeConfig(
            merged=merged,
            min_readers=min_readers,
            box=box,
            border="drop" if border else "move",
            area_px=(area[0], max(area[1], area[0] + 1)),
        )
        return kept_or_removed([filters_at(candidates, nodule, index, config)])

    return explorer(
        render,
        nodule=_slider("nodule", 0, len(slices) - 1),
        index=_slider("slice", int(slices[0]) // 2, int(slices.max()) - 1),
        merged=widgets.Checkbox(value=True, description="leave out merged nodules", indent=False),
        min_readers=_slider("readers", 2, READERS, low=1),
        box=widgets.Checkbox(value=True, description="leave out nodules larger than the crop", indent=False),
        border=widgets.Checkbox(value=True, description="leave out crops over the border", indent=False),
        area=widgets.IntRangeSlider(
            value=(30, 800), min=0, max=1500, step=10, description="area, px", continuous_update=False
        ),
    )


def _slider(name: str, value: int, high: int, *, low: int = 0) -> widgets.IntSlider:
    return widgets.IntSlider(value=value, min=low, max=high, description=name, continuous_update=False)


def _passing(scan: Scan, config: NativeConfig) -> list[NativeSlice]:
    removed: Counter[str] = Counter()
    return [one for nodule in scan.nodules for one in native_slices(scan, nodule, config, removed)]


def _painted(scan: Scan, one: NativeSlice, seed: int) -> np.ndarray:
    """A procedural image in which the nodule is as dense as its readers said."""
    scanner = texture.Scanner.draw(numpy_rng_for(seed, "scanner", scan.number))
    look = texture.nodule_look([scan.ratings[annotation] for annotation in one.nodule.annotations], READERS)
    votes = np.clip(one.masks.sum(axis=2) / READERS, 0, 1)
    return texture.ct_crop(votes, look, scanner, pixel_mm=scan.pixel_mm, rng=numpy_rng_for(seed, "slice", one.case))
