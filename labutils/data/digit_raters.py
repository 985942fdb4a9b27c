"""Digits with three sets of simulated raters, for the question which of them, if any, can be found out.

The images are the test digits of MNIST in the order of their file: the first four fifths (8,000) are the split "train"
and the rest (2,000) "test"; where MNIST is absent, the embedded digits take its place in the same shares. Noise wraps
around to bright as in the published files, so that no threshold finds the ink. In each set most raters are bad, and
they differ in the one that is not: it draws the truth (exact), the truth with a tenth of all pixels turned over
(noisy), or is left out (bad), where labels do not identify the truth.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from labutils.core.files import sha256_of_bytes
from labutils.data.catalog import Dataset
from labutils.data.digit_annotators import (
    CARD,
    digit_files,
    drawn_digits,
    embedded_digits,
    has_digits,
    mnist_digits,
)
from labutils.data.prepared import files_key, prepared_store, source_of
from labutils.data.store import Store

VERSION = 1  # raise it when the same digits would give another store
FILE = "t10k"  # the only one of MNIST's files that is read
TRAINED = (4, 5)  # the share of the digits, in the order of the file, that is the split "train"
BAD = ("over", "under", "wrong")
RATERS = {"digits-exact": ("good", *BAD), "digits-noisy": ("noisy", *BAD), "digits-bad": BAD}
_TITLES = {
    "digits-exact": "Handwritten digits with three bad raters and one who draws the truth",
    "digits-noisy": "Handwritten digits with three bad raters and one who is nearly right",
    "digits-bad": "Handwritten digits with three bad raters",
}
_QUIRKS = {
    "digits-exact": "The good rater draws the truth itself, so fusing by pooled skills finds it without an image.",
    "digits-noisy": "The noisy rater draws the truth with a tenth of all pixels turned over, by lot.",
    "digits-bad": "No rater is right, so that nothing in the labels tells the truth.",
}

CARDS = {
    name: replace(
        CARD,
        name=name,
        title=_TITLES[name],
        what="A digit under noise that salts more than a quarter of the background; raters draw its ink.",
        raters=f"{len(raters)} simulated annotators: {', '.join(raters)}",
        splits=("train", "test"),
        how_to_get=f"comes with the package; for MNIST run labutils data fetch {name}, or give the folder of its "
        "IDX files as root or in LABUTILS_DATA",
        quirks=(_QUIRKS[name], "Who wrote a digit is not known: each digit counts as a patient."),
    )
    for name, raters in RATERS.items()
}


def load(name: str, split: str, root: Path | None, limit: int | None = None) -> Store:
    """One split of one of the `RATERS`; see `labutils.data.catalog.load` for the other arguments.

    Returns:
        A memory-mapped store; source "your copy", "twin" or "embedded".
    Raises:
        DataError: the folder does not have MNIST's test images, or they are damaged; the text names the file.
    """
    files = {} if root is None else digit_files(root, [FILE])
    facts = files_key(root, files.values(), VERSION, CARDS[name]) if root else repr((VERSION, CARDS[name]))

    def make() -> Store:
        """The store, when none is kept that was made of the same files."""
        digits = {file: mnist_digits(path) for file, path in files.items()} or {"digits": embedded_digits()}
        numbers = [(file, i) for file, (gray, _) in digits.items() for i in range(len(gray))]
        cut = len(numbers) * TRAINED[0] // TRAINED[1]
        return drawn_digits(
            digits,
            numbers[:cut] if split == "train" else numbers[cut:],
            card=CARDS[name],
            split=split,
            source=source_of(root) if root else "embedded",
            annotators=RATERS[name],
            noise="wrap",
        )

    return prepared_store(f"{name}-{split}", sha256_of_bytes(facts.encode()), make).first(limit)


def _holds(folder: Path, split: str) -> bool:
    return split in ("train", "test")  # both are cut from the same file


DATASETS = {
    name: Dataset(
        card=card,
        load=partial(load, name),
        folders=("mnist_idx", "MNIST"),
        found=partial(has_digits, names=[FILE]),
        holds=_holds,
        embedded=True,
    )
    for name, card in CARDS.items()
}
