"""Rat smooth muscle cells outlined by four people, each with two tools: dataset 1 of BU-BIL.

A fifth person's drawings are what the original calls its gold standard, pixel for pixel and with both tools. They are
therefore the ``truth`` here and no rater: counting them among the raters would compare them with themselves. That
truth is the opinion of one more expert.

The layout of the files is told in `labutils.data.bubil`; where the images are larger than the smallest one (one of the
published 25 is), their middle is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labutils.core.checks import DataError, require
from labutils.data import bubil
from labutils.data.bubil import ImageFiles
from labutils.data.cards import Card
from labutils.data.catalog import Dataset
from labutils.data.pictures import read_gray
from labutils.data.prepared import files_key, prepared_store, require_folder, source_of
from labutils.data.sizes import middle_window, smallest_size
from labutils.data.splits import split_by_patient
from labutils.data.store import Source, Store

READER_VERSION = 1  # raise it when the same files would give another store
NUMBER = 1
PEOPLE, TOOLS = ("Person1", "Person3", "Person4", "Person5"), ("Amira", "ImageJ")
RATERS = tuple(f"{person}_{tool}" for person in PEOPLE for tool in TOOLS)  # in the order of the rater axis
FRACTIONS = {"train": 0.6, "validate": 0.2, "test": 0.2}
SEED = 0  # of the splits

CARD = Card(
    name="bubil-experts",
    title="Muscle cells outlined by four experts with two tools (BU-BIL 1)",
    what="Phase-contrast images of rat smooth muscle cells; one cell of each image is outlined by every rater.",
    licence=bubil.LICENCE,
    citation=bubil.CITATION,
    homepage=bubil.HOMEPAGE,
    raters=f"8, four PhD students with two tools each: {', '.join(RATERS)}",
    identified=True,
    classes=2,
    image="(C, H, W) = (1, 811, 1024), gray values divided by 255",
    splits=tuple(FRACTIONS),
    how_to_get=bubil.HOW_TO_GET,
    quirks=(
        "The truth is the published gold standard, which is pixel for pixel what a fifth person, Person2, drew with "
        "both tools: one more expert's opinion, so Person2 is no rater here.",
        "Two neighboring raters are one person with two tools, so eight raters are not eight independent opinions; yet "
        "a person agrees with the own drawing in the other tool hardly more than with another person.",
        "Only one cell of each image is outlined, also where several are seen.",
        "One image is 1030 x 1300 pixels: the middle 811 x 1024 are taken, which hold every outline.",
        "Cultures are not named: each image counts as a patient of its own, and images of one culture may be in "
        "different splits.",
        "The original has no splits: images are dealt into these by the hash of their names.",
        "Crowd masks of these images are crops at an unknown place, so they are not read.",
    ),
    spacing_known=False,
)


def load(split: str, root: Path | None, limit: int | None = None) -> Store:
    """One split; see `labutils.data.catalog.load` for the arguments.

    Returns:
        A memory-mapped store in the order of the images' names; raters as in `RATERS`, all present; truth the gold
        standard; source "your copy" or "twin".
    Raises:
        DataError: a file or folder is missing, damaged, or not what its name says, an outline does not fit into the
            window, or no image falls into the split; the text names it.
    """
    root = require_folder(root, CARD)
    files = bubil.find_files(root, NUMBER, [f"ExpertsAnnotations/{rater}" for rater in RATERS])
    paths = [path for one in files for path in (one.image, *one.masks, one.gold)]
    key = files_key(root, paths, READER_VERSION, CARD)
    return prepared_store(f"bubil-experts-{split}", key, lambda: _read_split(split, files, source_of(root))).first(
        limit
    )


def _read_split(split: str, files: Sequence[ImageFiles], source: Source) -> Store:
    size = smallest_size(read_gray(one.image).shape for one in files)
    chosen = split_by_patient([one.name for one in files], FRACTIONS, SEED)[split]
    folder = files[0].image.parent
    require(chosen, f"{folder} holds {len(files)} images and none falls into the split {split!r}", DataError)
    names = tuple(files[i].name for i in chosen)
    image = np.empty((len(chosen), 1, *size), np.float32)
    drawn = np.empty((len(chosen), len(RATERS) + 1, *size), np.uint8)  # the gold standard last
    for place, i in enumerate(chosen):
        picture = bubil.read_image(files[i].image)
        image[place, 0] = middle_window(picture, size)
        drawn[place] = _window(files[i], picture.shape, size)
    return Store(
        image=image,
        masks=drawn[:, :-1],
        present=np.ones((len(chosen), len(RATERS)), bool),
        truth=drawn[:, -1],
        spacing_mm=np.ones((len(chosen), 2)),
        patients=names,
        cases=names,
        card=CARD,
        split=split,
        source=source,
    )


def _window(files: ImageFiles, full: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """The masks and the gold standard, uint8 (R + 1, H, W), of the window; no outline may be cut."""
    masks = bubil.read_masks(files._replace(masks=(*files.masks, files.gold)), full)
    window = middle_window(masks, size)
    whole = int(window.sum()) == int(masks.sum())
    require(whole, f"{files.image} has outlines outside its middle {size} pixels; wanted them inside", DataError)
    return window


def _found(folder: Path) -> bool:
    return (bubil.dataset_folder(folder, NUMBER) / "ExpertsAnnotations").is_dir()


def _holds(folder: Path, split: str) -> bool:
    return split in CARD.splits  # every split is dealt from the same files


DATASET = Dataset(card=CARD, load=load, folders=bubil.FOLDERS, found=_found, holds=_holds)
