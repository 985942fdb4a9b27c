"""Twins of the BU-BIL datasets: procedural cells and vessels, drawn by procedural people, in the files of the original.

The raters imitate what was measured of the real ones: how much two drawings overlap, that a person's drawings with two
tools differ nearly as much as those of two people, and that a crowd worker is careless now and then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labutils.core.checks import ConfigError, require
from labutils.core.runtime import numpy_rng_for
from labutils.data import bubil, bubil_experts, cell_looks
from labutils.data.bubil_crowd import SLOTS
from labutils.data.redraw import Outline, outline_of, redrawn

EXPERTS_PX, LARGER_PX = (811, 1024), (1030, 1300)  # of images of dataset 1, and of its first one
REACH_PX = 350  # how far an arm of a cell goes from the middle, so that drawings of it stay inside
PEOPLE = {"Person1": 0.05, "Person2": 0.0, "Person3": -0.05, "Person4": 0.08, "Person5": 0.02}  # shifts, in depths
GOLD_PERSON = "Person2"  # whose drawing is the gold standard, with both tools
EXPERT_WOBBLE = 0.24
CAPITALS, COLORS = (6, 5), (5, 2)  # every so manyth file, from which: named Seg_, or of three channels
THIRD_GRAY = 24  # in a few pixels of one published mask
LOCAL_PX = 224  # side of the square that a crop is cut from
SITE_PX, SITES = 100, (9, 12)  # distance, and rows and columns, of the places of cells in the frame of dataset 4
FIRST_RUN = 22 / 35  # share of the slices of dataset 6 that are of the first vessel
CARELESS = 0.06  # share of crowd masks that are much too small or too large


class _Crowd(NamedTuple):
    """What is particular to the crowd of a dataset."""

    number: int
    wobble: float
    frame: tuple[int, int]
    mode: str  # of the images' files


EXPERTS = _Crowd(bubil_experts.NUMBER, 0.2, EXPERTS_PX, "L")
CELLS = _Crowd(4, 0.12, (1030, 1300), "P")
VESSELS = _Crowd(6, 0.2, (512, 512), "L")


def write_experts(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """The twin of ``bubil-experts``: dataset 1, five people with two tools, and a crowd that the reader leaves out.

    As in the original, the first image is larger and has a palette, both drawings of Person2 are the gold standard,
    and a person's files are of several modes and letter cases.
    """
    root = bubil.dataset_folder(folder, EXPERTS.number)
    for number in range(cases["images"]):
        rng = numpy_rng_for(seed, "twin experts", number)
        cell, name = _experts_cell(number, rng), f"B{number + 2:02}"
        picture = cell_looks.phase_contrast(cell, rng)
        _write_png(root / "RawImages" / f"{name}.png", picture, "P" if number == 0 else "L")
        for person, shift in PEOPLE.items():
            first, second = (redrawn(cell, rng, wobble=EXPERT_WOBBLE, shift=shift) for _ in bubil_experts.TOOLS)
            if person == GOLD_PERSON:
                second = first
                _write_png(root / bubil.GOLD / f"seg_{name}.png", _black(first), "1")
                _write_crowd(root, EXPERTS, name, cell, _window(first, rng), rng)
            for tool, mask in zip(bubil_experts.TOOLS, (first, second), strict=True):
                _write_expert(root / "ExpertsAnnotations", f"{person}_{tool}", number, name, mask)


def _experts_cell(number: int, rng: np.random.Generator) -> Outline:
    middle, area_px = (EXPERTS_PX[0] / 2, EXPERTS_PX[1] / 2), np.exp(rng.uniform(np.log(8e3), np.log(6e4)))
    shape = cell_looks.cell_shape(EXPERTS_PX, middle, rng, area_px=area_px, reach_px=REACH_PX)
    shape = cell_looks.varied(shape, rng)
    if number == 0:
        (top, left), (height, width) = ((LARGER_PX[i] - EXPERTS_PX[i]) // 2 for i in (0, 1)), EXPERTS_PX
        larger = np.zeros(LARGER_PX, bool)
        larger[top : top + height, left : left + width] = shape
        shape = larger
    return outline_of(shape)


def _write_expert(folder: Path, rater: str, number: int, name: str, mask: np.ndarray) -> None:
    """A person's drawing, named and stored as that rater's files are."""
    gray, start, mode = _black(mask), "seg", "RGB"
    if rater.endswith("Amira") and not rater.startswith(GOLD_PERSON):
        colors = rater == "Person5_Amira" and number % COLORS[0] == COLORS[1]
        mode = "RGB" if colors else "L"
        if colors and number == COLORS[1]:
            rows, columns = np.nonzero(mask)
            gray[rows[:4], columns[:4]] = THIRD_GRAY
    if rater == "Person3_Amira" and number % CAPITALS[0] == CAPITALS[1]:
        start = "Seg"
    _write_png(folder / rater / f"{start}_{name}.png", gray, mode)


def write_crowd_4(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """The twin of ``bubil-crowd-4``: crops of a time lapse, in which every third image shows a new cell.

    The others show an earlier one again, turned and moved a little, so their gold objects overlap.

    Raises:
        ConfigError: more cases than fit into one frame.
    """
    wanted, most = cases["images"], 3 * SITES[0] * SITES[1]
    require(wanted <= most, f"a twin can have {most} images; wanted {wanted}", ConfigError)
    sites = numpy_rng_for(seed, "twin sites").permutation(SITES[0] * SITES[1])
    hours = [f"{hour:06}" for hour in range(92, 172, 2)]
    for number, name in enumerate([*hours, *(f"{n:03}" for n in range(1, wanted + 1))][:wanted]):
        rng = numpy_rng_for(seed, "twin visit", number)
        place = number // 3 if number % 3 == 0 else int((number // 3 + 1) * rng.random() ** 2)  # the first ones often
        of_cell = numpy_rng_for(seed, "twin cell", place)
        area_px, turn = of_cell.uniform(400, 1500), rng.uniform(-0.3, 0.3)
        center, size = LOCAL_PX / 2 + rng.uniform(-3, 3, 2), (LOCAL_PX, LOCAL_PX)
        shape = cell_looks.cell_shape(size, tuple(center), of_cell, area_px=area_px, reach_px=42, turn=turn)
        others = cell_looks.cell_shape(size, (LOCAL_PX / 2, LOCAL_PX / 2 + 80), rng, area_px=1000, reach_px=42)
        cell = outline_of(cell_looks.varied(shape, rng))
        row, column = divmod(int(sites[place]), SITES[1])
        corner = ((row + 1) * SITE_PX - LOCAL_PX // 2, (column + 1) * SITE_PX - LOCAL_PX // 2)
        picture = cell_looks.fluorescence(cell, others & (rng.random() < 0.5), rng)
        _write_crop(folder, CELLS, name, picture, cell, corner, rng)


def write_crowd_6(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """The twin of ``bubil-crowd-6``: neighboring slices of one vessel, then of another, so two places in the frame."""
    wanted, drift = cases["images"], np.zeros(2)
    for number in range(wanted):
        rng = numpy_rng_for(seed, "twin slice", number)
        second = number >= round(wanted * FIRST_RUN)
        drift = 0.8 * drift + rng.normal(0, 0.7, 2)
        area_px, side = rng.uniform(190, 240) if second else rng.uniform(140, 190), (LOCAL_PX, LOCAL_PX)
        disc = outline_of(cell_looks.disc_shape(side, tuple(LOCAL_PX / 2 + drift), rng, area_px=area_px))
        corner = (120 if second else 160, 160)
        _write_crop(folder, VESSELS, f"TPre{number + 1:02}", cell_looks.vessel(disc, rng), disc, corner, rng)


def _write_crop(
    folder: Path,
    crowd: _Crowd,
    name: str,
    picture: np.ndarray,
    cell: Outline,
    corner: tuple[int, int],
    rng: np.random.Generator,
) -> None:
    """An image about twice as large as its object, the crowd's masks of it, and the gold standard in the frame.

    `picture` and `cell` are of a larger square, and `corner` is where that lies in the frame.
    """
    root = bubil.dataset_folder(folder, crowd.number)
    gold = redrawn(cell, rng, wobble=0.1)
    window, frame = _window(gold, rng), np.zeros(crowd.frame, bool)
    rows, columns = np.nonzero(gold)
    frame[rows + corner[0], columns + corner[1]] = True
    _write_png(root / "RawImages" / f"{name}.png", picture[window], crowd.mode)
    _write_png(root / bubil.GOLD / f"seg_{name.lower()}.png", _black(frame), "1")
    _write_crowd(root, crowd, name, cell, window, rng)


def _window(mask: np.ndarray, rng: np.random.Generator) -> tuple[slice, slice]:
    """Where a crop is: around the middle of the object, about twice as large, and inside the picture."""
    slices = []
    for axis, size in enumerate(mask.shape):
        at = np.flatnonzero(mask.any(axis=1 - axis))
        half = round((at[-1] - at[0] + 1) * rng.uniform(0.95, 1.05))
        middle = (at[0] + at[-1]) // 2
        slices.append(slice(max(0, middle - half), min(size, middle + half)))
    return slices[0], slices[1]


def _write_crowd(
    root: Path, crowd: _Crowd, name: str, cell: Outline, window: tuple[slice, slice], rng: np.random.Generator
) -> None:
    """A mask of the window in each slot."""
    local = Outline(cell.distance[window], cell.depth_px)
    for slot in range(SLOTS):
        shift = rng.choice((-0.45, 0.8)) if rng.random() < CARELESS else rng.normal(0.03, 0.06)
        mask = redrawn(local, rng, wobble=crowd.wobble, shift=shift)
        place = root / "CrowdsourcedAnnotations" / f"mturk_annotation{crowd.number}-{slot + 1}"
        _write_png(place / f"seg_{name}.png", _black(mask), "RGBA")


def _black(mask: np.ndarray) -> np.ndarray:
    """A mask as it is stored: the object 0, the background 255, uint8 (H, W)."""
    return np.where(mask, 0, 255).astype(np.uint8)


def _write_png(path: Path, gray: np.ndarray, mode: str) -> None:
    """Write grays, uint8 (H, W), as a new PNG file of one of Pillow's modes: 1, L, P, RGB or RGBA, opaque."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(gray).convert(mode).save(path, "png")
