"""Digits with four annotators as prepared files: the published form of the simulated-annotator experiments.

The layout is that of the public original::

    <root>/<split>/Gaussian/<n>_Gaussian.tif    float (H, W, 3), three equal channels in [0, 1]
    <root>/<split>/GT/<n>_GT.tif                unsigned (H, W), 0 or 1: the truth, and the good annotator
    <root>/<split>/{Over,Under,Wrong}/<n>_<annotator>.tif    likewise, the three other annotators

A folder ``All`` of the training split repeats ``Over`` and is not read. Each digit counts as a patient of its own, as
who wrote it is not known.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from labutils.core.checks import DataError, require
from labutils.data.cards import Card
from labutils.data.catalog import Dataset
from labutils.data.prepared import files_key, prepared_store, require_folder, source_of
from labutils.data.store import Store
from labutils.data.tiff import read_tiff, require_binary

READER_VERSION = 1  # raise it when the same files would give another store
FOLDERS = {"good": "GT", "over": "Over", "under": "Under", "wrong": "Wrong"}  # by annotator, in the order of raters
_NAME = re.compile(r"(\d+)_Gaussian")

CARD = Card(
    name="mnist-annotators",
    title="MNIST digits with four simulated annotators, as published",
    what="Handwritten digits under noise; annotators draw them truly, too thick, too thin, or as something else.",
    licence="MIT for the prepared files; the digits are those of MNIST",
    citation="LeCun, Cortes and Burges, The MNIST database of handwritten digits",
    homepage="https://github.com/rCampSemp/learn-vae-noisy-label",
    raters="4 simulated annotators: good, over, under, wrong",
    identified=True,
    classes=2,
    image="(C, H, W) = (1, 28, 28), gray values in [0, 1]",
    splits=("train", "validate", "test"),
    how_to_get="copy the folder MNIST_examples of the homepage and give its path as root or in LABUTILS_DATA",
    quirks=(
        "The first rater draws the truth itself, so its mask and the truth are one file.",
        "Noise that should be negative wraps around to bright, which salts more than a quarter of the background.",
        "Who wrote a digit is not known: each digit counts as a patient.",
    ),
    spacing_known=False,
)


def load(split: str, root: Path | None, limit: int | None = None) -> Store:
    """One split of the prepared digits; see `labutils.data.catalog.load` for the arguments.

    Returns:
        A memory-mapped store in the order of the digits' numbers; raters as in `FOLDERS`; source "your copy" or "twin".
    Raises:
        DataError: a file or folder is missing, damaged, or not what its name says; the text names it.
    """
    root = require_folder(root, CARD)
    numbers = _numbers(root, split)
    files = [_path(root, split, folder, n) for folder in ("Gaussian", *FOLDERS.values()) for n in numbers]
    key = files_key(root, files, READER_VERSION, CARD)
    return prepared_store(f"mnist-annotators-{split}", key, lambda: _read_split(root, split, numbers)).first(limit)


def _path(root: Path, split: str, folder: str, number: int) -> Path:
    return root / split / folder / f"{number}_{folder}.tif"


def _found(folder: Path) -> bool:
    return any((folder / split / "Gaussian").is_dir() for split in CARD.splits)


def _numbers(root: Path, split: str) -> list[int]:
    """The digits of a split, ascending; refuses a folder of another kind and digits that lack a mask."""
    require(root.is_dir(), f"{root} is not a folder; wanted the one that holds {' or '.join(CARD.splits)}", DataError)
    there = [name for name in CARD.splits if (root / name / "Gaussian").is_dir()]
    require(there, f"{root} is not the dataset's folder: no split in it has a folder Gaussian", DataError)
    require(split in there, f"{root} has no files for the split {split!r}; it has {', '.join(there)}", DataError)
    names = [path.stem for path in (root / split / "Gaussian").glob("*.tif")]
    require(names, f"{root / split / 'Gaussian'} holds no .tif file", DataError)
    for name in names:
        if not _NAME.fullmatch(name):
            raise DataError(f"{root / split / 'Gaussian' / name}.tif has another name; wanted <number>_Gaussian.tif")
    return sorted(int(name.partition("_")[0]) for name in names)


def _read_split(root: Path, split: str, numbers: list[int]) -> Store:
    images, masks = [], []
    for number in numbers:
        images.append(_image(_path(root, split, "Gaussian", number)))
        drawn = [_mask(_path(root, split, folder, number), images[-1].shape) for folder in FOLDERS.values()]
        masks.append(np.stack(drawn))
        if images[-1].shape != images[0].shape:
            raise DataError(f"{root / split}: digit {number} is {images[-1].shape} and the first {images[0].shape}")
    drawn_all = np.stack(masks)
    return Store(
        image=np.stack(images)[:, None],
        masks=drawn_all,
        present=np.ones(drawn_all.shape[:2], bool),
        truth=drawn_all[:, list(FOLDERS).index("good")].copy(),
        spacing_mm=np.ones((len(numbers), 2)),
        patients=tuple(f"{split}-{number}" for number in numbers),
        cases=tuple(f"{split}-{number}" for number in numbers),
        card=CARD,
        split=split,
        source=source_of(root),
    )


def _image(path: Path) -> np.ndarray:
    """float32 (H, W)."""
    image = read_tiff(path, "HWC", "f")
    same = image.shape[2] == 3 and bool((image == image[:, :, :1]).all())
    require(same, f"{path} has shape {image.shape}; wanted (H, W, 3) with three equal channels", DataError)
    inside = bool(((image >= 0) & (image <= 1)).all())  # False for NaN as well
    require(inside, f"{path} has values outside [0, 1]", DataError)
    return image[:, :, 0].astype(np.float32)


def _mask(path: Path, size: tuple[int, ...]) -> np.ndarray:
    mask = read_tiff(path, "HW", "bu")
    require_binary(path, mask, size)
    return mask.astype(np.uint8)


DATASET = Dataset(card=CARD, load=load, folders=("mnist_annotators", "MNIST_examples"), found=_found)
