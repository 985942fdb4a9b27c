"""The pixels of one file of a person's own folder: image values in [0, 1], or class labels, or one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from labutils.core.checks import DataError, require
from labutils.data.grids import Grid
from labutils.data.own_card import FILE
from labutils.data.own_files import ENDINGS, is_volume
from labutils.data.pictures import only_gray, read_picture
from labutils.data.tiff import read_tiff_picture
from labutils.data.volumes import read_volume

KINDS = "PNG (.png), TIFF (.tif, .tiff) or NIfTI (.nii, .nii.gz)"
WINDOW = f"window = [low, high] in {FILE}"


class Pixels(NamedTuple):
    """What a file holds; a picture is a stack of one plane."""

    planes: np.ndarray  # image: float32 (D, C, H, W) in [0, 1]; labels: uint8 (D, H, W)
    grid: Grid | None  # of a volume


def read_image(path: Path, window: tuple[float, float] | None, *, asked: str = WINDOW) -> Pixels:
    """An image as float32 (D, C, H, W) in [0, 1].

    Args:
        path: a picture of one page, gray or RGB, or a volume.
        window: the gray values that become 0 and 1, those beyond cut off; None: pictures of 8 and 16 bits are divided
            by 255 and 65535, floating-point pictures must lie in [0, 1], and nothing else is read.
        asked: how the person who gave the file can give a window.
    Raises:
        DataError: the file cannot be used, or needs a window; the text names the file.
    """
    raw, grid = _raw(path)
    values = _in_unit_range(path, raw, window, asked, picture=grid is None)
    if grid is not None:
        return Pixels(values[:, None], grid)
    channels = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return Pixels(np.ascontiguousarray(channels)[None], None)


def read_labels(path: Path, classes: int) -> Pixels:
    """A mask as class labels, uint8 (D, H, W).

    Args:
        path: a picture of one page, gray, or a volume.
        classes: K; labels run from 0 to K - 1, and with two classes 0 and 255 are read as 0 and 1.
    Raises:
        DataError: the file cannot be used or holds another value; the text names both.
    """
    raw, grid = _raw(path)
    labels = _labels(path, raw if grid is not None else only_gray(path, raw), classes)
    return Pixels(labels if grid is not None else labels[None], grid)


def _raw(path: Path) -> tuple[np.ndarray, Grid | None]:
    known = path.name.lower().endswith(ENDINGS)
    require(known, f"{path} is a file of a kind that is not read; wanted {KINDS}", DataError)
    if is_volume(path):
        return read_volume(path)
    return (read_picture(path) if path.suffix.lower() == ".png" else read_tiff_picture(path)), None


def _in_unit_range(
    path: Path, raw: np.ndarray, window: tuple[float, float] | None, asked: str, *, picture: bool
) -> np.ndarray:
    if raw.dtype.kind == "f":
        finite = bool(np.isfinite(raw).all())
        require(finite, f"{path} holds values that are NaN or infinite; wanted numbers", DataError)
    if window is not None:
        low, high = window
        scaled = (raw.astype(np.float32) - np.float32(low)) / np.float32(high - low)
        return np.clip(scaled, 0, 1, out=scaled)
    if picture and raw.dtype in (np.uint8, np.uint16, bool):
        return raw.astype(np.float32) / np.float32(1 if raw.dtype == bool else np.iinfo(raw.dtype).max)
    low, high = float(raw.min()), float(raw.max())
    told = f"holds {raw.dtype} values from {low:.6g} to {high:.6g}"
    require(picture, f"{path} is a volume that {told}; wanted {asked}", DataError)
    fits = raw.dtype.kind == "f" and low >= 0 and high <= 1
    require(fits, f"{path} {told}; wanted 8 or 16 bits without sign, values from 0.0 to 1.0, or {asked}", DataError)
    return raw.astype(np.float32)


def _labels(path: Path, raw: np.ndarray, classes: int) -> np.ndarray:
    if raw.dtype == bool:
        return raw.astype(np.uint8)
    if classes == 2 and bool(((raw == 0) | (raw == 255)).all()):
        return (raw == 255).astype(np.uint8)
    good = (raw >= 0) & (raw < classes) & (raw == np.floor(raw))  # False for NaN as well
    if not good.all():
        value = float(raw[~good][0])
        wanted = "0 and 1, or 0 and 255, only" if classes == 2 else f"whole labels from 0 to {classes - 1}"
        raise DataError(f"{path} holds the value {value:.6g}; wanted {wanted}")
    return raw.astype(np.uint8)
