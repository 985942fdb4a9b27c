"""The cases of a person's own folder, read one image file at a time and compared with what belongs to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labutils.core.checks import DataError
from labutils.core.files import sha256_of_file
from labutils.core.words import quantity
from labutils.data import own_table
from labutils.data.findings import Findings
from labutils.data.grids import TOLERANCE_MM, Grid, distance_mm
from labutils.data.own_files import OwnCase, OwnFolder, is_volume
from labutils.data.own_pixels import Pixels, read_image, read_labels
from labutils.data.sizes import largest_size


class Taken(NamedTuple):
    """One image file and its masks; a picture is a stack of one plane."""

    case: OwnCase
    ids: tuple[str, ...]  # (D,) of the cases it gives
    image: np.ndarray  # float32 (D, C, H, W) in [0, 1]
    masks: np.ndarray  # uint8 (R, D, H, W), class labels; all zero where present is False
    present: np.ndarray  # bool (R,)
    truth: np.ndarray | None  # uint8 (D, H, W)
    spacing_mm: tuple[float, float] | None  # row and column


def plane_ids(name: str, planes: int) -> tuple[str, ...]:
    """The case ids of a volume: its name, "_z" and the plane's number in three digits, 000 nearest to the feet."""
    return tuple(f"{name}_z{plane:03d}" for plane in range(planes))


def read_cases(folder: OwnFolder, findings: Findings) -> Iterator[Taken]:
    """Every image that can be read, with its masks; what is wrong with a file goes to `findings`.

    A mask that is at fault is left out of what is yielded. Notes that count files come when all are read.
    """
    _find_repeats(folder, findings)
    sizes: list[tuple[int, int]] = []
    grids: list[Grid] = []
    distances: list[float] = []  # in mm, of masks whose grid is nearly their image's
    seen: dict[str, OwnCase] = {}
    channels: int | None = None
    for case in folder.cases:
        image = _read(lambda path: read_image(path, folder.settings.window), case.image, findings)
        labels = [_labels(folder, case, image, path, findings, distances) for path in (*case.masks, case.truth)]
        if image is None:
            continue
        depth, here, *size = image.planes.shape
        channels = channels or here
        if here != channels:
            findings.fault(
                case.image, f"has {quantity(here, 'channel')}, and the first image {channels}", "gray or RGB throughout"
            )
        sizes.append((size[0], size[1]))
        grids += [image.grid] if image.grid is not None else []
        ids = plane_ids(case.name, depth) if image.grid is not None else (case.name,)
        for clash in (one for one in ids if seen.setdefault(one, case) is not case):
            findings.fault(case.image, f"gives a case {clash!r}, as {seen[clash].image.name} does", "another name")
        yield _taken(case, ids, image, labels, _spacing(folder, case, image, findings))
    _tell(findings, sizes, grids, distances)


def _read(read: Callable[[Path], Pixels], path: Path, findings: Findings) -> Pixels | None:
    try:
        return read(path)
    except DataError as error:
        findings.refused(path, error)
        return None


def _labels(
    folder: OwnFolder,
    case: OwnCase,
    image: Pixels | None,
    path: Path | None,
    findings: Findings,
    distances: list[float],
) -> np.ndarray | None:
    """One mask, uint8 (D, H, W); None where there is none or it is at fault."""
    if path is None or is_volume(path) != is_volume(case.image):  # the second is a fault of names, told already
        return None
    labels = _read(lambda path: read_labels(path, folder.settings.classes), path, findings)
    if labels is None or image is None:
        return None
    if image.grid is not None and labels.grid is not None:
        apart = distance_mm(image.grid, labels.grid)
        if apart > TOLERANCE_MM:
            far = "of other sizes" if np.isinf(apart) else f"up to {apart:.4g} mm apart"
            told = f"{labels.grid.facts()} are {far} from its image's {image.grid.facts()}"
            findings.fault(path, told, "one grid: resample the mask onto its image")
            return None
        distances.append(apart)
    elif labels.planes.shape[1:] != image.planes.shape[2:]:
        sizes = ["{} x {}".format(*pixels.planes.shape[-2:]) for pixels in (labels, image)]
        findings.fault(path, f"is {sizes[0]} pixels and its image {sizes[1]}", "them equal")
        return None
    return labels.planes


def _taken(
    case: OwnCase,
    ids: tuple[str, ...],
    image: Pixels,
    labels: list[np.ndarray | None],
    spacing_mm: tuple[float, float] | None,
) -> Taken:
    *drawn, truth = labels
    depth, _, *size = image.planes.shape
    masks = np.zeros((max(len(drawn), 1), depth, *size), np.uint8)
    present = np.zeros(len(masks), bool)
    for k, mask in enumerate(drawn):
        if mask is not None:
            masks[k], present[k] = mask, True
    return Taken(case, ids, image.planes, masks, present, truth, spacing_mm)


def _spacing(folder: OwnFolder, case: OwnCase, image: Pixels, findings: Findings) -> tuple[float, float] | None:
    """Of rows and columns, in mm; a volume's own counts, and the table must not contradict it."""
    if image.grid is None:
        return case.spacing_mm
    own = image.grid.spacing_mm[1:]
    if case.spacing_mm is not None and not np.allclose(own, case.spacing_mm, rtol=0, atol=TOLERANCE_MM):
        told = "case {!r} has the spacing {:.6g} x {:.6g} mm, its volume {:.6g} x {:.6g} mm"
        told = told.format(case.name, *case.spacing_mm, *own)
        findings.fault(folder.root / own_table.FILE, told, "them equal, or no spacing for a volume")
    return own


def _find_repeats(folder: OwnFolder, findings: Findings) -> None:
    """The same bytes in two splits let a model be tested on what it has seen; only files of one length are compared."""
    by_length: dict[int, list[OwnCase]] = defaultdict(list)
    for case in folder.cases:
        by_length[case.image.stat().st_size].append(case)
    first: dict[str, OwnCase] = {}
    repeated = 0
    for case in (case for cases in by_length.values() if len(cases) > 1 for case in cases):
        other = first.setdefault(sha256_of_file(case.image), case)
        if other.split != case.split:
            told = f"holds the same bytes as {other.image.name}: one is in {case.split}, the other in {other.split}"
            findings.fault(case.image, told, "every picture in one split")
        elif other is not case:
            repeated += 1
    if repeated:
        findings.note(f"{quantity(repeated, 'image')} of the same bytes as another of the same split")


def _tell(findings: Findings, sizes: list[tuple[int, int]], grids: list[Grid], distances: list[float]) -> None:
    if len(set(sizes)) > 1:
        height, width = largest_size(sizes)
        findings.note(f"images differ in size: all are padded with zeros, below and right, to {height} x {width}")
    if unplaced := sum(not grid.placed for grid in grids):
        findings.note(f"{quantity(unplaced, 'volume')} without a direction: the third axis is taken as feet to head")
    if any(distances):
        count, most = sum(apart > 0 for apart in distances), max(distances)
        findings.note(f"{quantity(count, 'mask')} up to {most:.2g} mm off the image, which counts as the same grid")
