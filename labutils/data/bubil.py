"""BU-BIL, biomedical images that people and crowd workers segmented: the layout all its datasets share.

The layout is that of the public original::

    <root>/BU-BIL_Dataset<d>/RawImages/<image>.png
    <root>/BU-BIL_Dataset<d>/ExpertsAnnotations/<person>_<tool>/seg_<image>.png
    <root>/BU-BIL_Dataset<d>/CrowdsourcedAnnotations/mturk_annotation<d>-<slot>/seg_<image>.png
    <root>/BU-BIL_Dataset<d>/GoldStandard/seg_<image>.png

A mask belongs to the image that its name without ``seg_`` names, whatever the case of its letters. In masks the object
is black and the background white; they are stored with 1, 8, 24 or 32 bits a pixel, and all of these are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labutils.core.checks import DataError, require
from labutils.data.pictures import read_gray, require_two_tone

FOLDERS = ("bubil_cells", "Rabbit")  # how the folder that holds BU-BIL_Dataset<d> is called
CITATION = "Gurari et al., How to Collect Segmentations for Biomedical Images?, WACV 2015"
LICENCE = "BSD 4-clause, (c) 2014 Boston University, which must be named where the data are advertised"
HOMEPAGE = "https://github.com/tobastin/CS760-Project-Lungs/tree/master/DataSet/Rabbit"
HOW_TO_GET = "copy the folder DataSet/Rabbit of the homepage and give its path as root or in LABUTILS_DATA"
GOLD = "GoldStandard"
SLACK = 32  # gray values a mask may be off 0 and 255: one published file has pixels of 24


class ImageFiles(NamedTuple):
    """The files of one image."""

    name: str
    image: Path
    masks: tuple[Path, ...]  # in the order of the raters
    gold: Path


def dataset_folder(root: Path, number: int) -> Path:
    """Where the files of dataset `number` are."""
    return root / f"BU-BIL_Dataset{number}"


def find_files(root: Path, number: int, raters: Sequence[str]) -> list[ImageFiles]:
    """The files of every image of a dataset, by name.

    Args:
        root: the folder that holds the datasets.
        number: of the dataset.
        raters: the folder of each rater's masks, below the dataset's folder.
    Raises:
        DataError: a folder is missing or empty, an image lacks a mask or the other way round, or two files go by one
            name; the text names the file or folder.
    """
    folder = dataset_folder(root, number)
    require(folder.is_dir(), f"{root} is not the dataset's folder: wanted {folder.name} in it", DataError)
    images = _by_name(folder / "RawImages")
    masks = [_by_name(folder / rater) for rater in (*raters, GOLD)]
    for one, rater in zip(masks, (*raters, GOLD), strict=True):
        if bare := sorted(set(images) - set(one)):
            raise DataError(f"{images[bare[0]]} has no mask in {folder / rater} ({len(bare)} such images in all)")
        if bare := sorted(set(one) - set(images)):
            raise DataError(f"{one[bare[0]]} has no image in {folder / 'RawImages'} ({len(bare)} such masks in all)")
    return [
        ImageFiles(path.stem, path, tuple(one[name] for one in masks[:-1]), masks[-1][name])
        for name, path in sorted(images.items())
    ]


def _by_name(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by lower-case name without ``seg_``; hidden files are passed over."""
    require(folder.is_dir(), f"{folder} is missing; wanted the folder with its .png files", DataError)
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.png")):
        name = path.stem.lower().removeprefix("seg_")
        if path.name.startswith("."):
            continue
        if name in found:
            raise DataError(f"{path} and {found[name].name} go by one name, {name}; wanted one file for each image")
        found[name] = path
    require(found, f"{folder} holds no .png file", DataError)
    return found


def read_image(path: Path) -> np.ndarray:
    """A raw image, float32 (H, W) in [0, 1]: gray values divided by 255.

    Raises:
        DataError: the file is damaged or no gray picture of 8 bits; the text names it.
    """
    return read_gray(path).astype(np.float32) / np.float32(255)


def read_mask(path: Path) -> np.ndarray:
    """A mask, bool (H, W): True for the object, which is black in the file.

    Raises:
        DataError: the file is damaged, holds colors or transparency, or grays that are neither near black nor near
            white; the text names it.
    """
    gray = read_gray(path, opaque=True)
    require_two_tone(path, gray, SLACK)
    return gray < 128


def read_masks(files: ImageFiles, size: tuple[int, ...]) -> np.ndarray:
    """All raters' masks of an image of `size` (H, W): uint8 (R, H, W).

    Raises:
        DataError: as for `read_mask`, or a mask has another size than its image.
    """
    masks = [read_mask(path) for path in files.masks]
    for path, mask in zip(files.masks, masks, strict=True):
        fits = mask.shape == size
        require(fits, f"{path} has {mask.shape} pixels and {files.image} {size}; wanted one size", DataError)
    return np.stack(masks).astype(np.uint8)
