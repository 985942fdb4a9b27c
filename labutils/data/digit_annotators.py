"""Digits that simulated annotators draw on: real MNIST where its files are, else the digits of scikit-learn.

Your copy is a folder with ``train-images-idx3-ubyte`` or ``t10k-images-idx3-ubyte`` or both, each plain or with
``.gz``. The embedded digits are 8 x 8 scans of handwriting, enlarged to MNIST's 20 x 20 pixels of ink in
28 x 28. The truth is the ink; what annotators make of it is in `labutils.data.annotators`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from labutils.core.checks import DataError, require
from labutils.core.files import sha256_of_bytes
from labutils.core.runtime import numpy_rng_for
from labutils.data.annotators import ANNOTATORS, Noise, add_noise, annotate
from labutils.data.cards import Card, Download
from labutils.data.catalog import Dataset
from labutils.data.idx import read_idx
from labutils.data.prepared import files_key, prepared_store, source_of
from labutils.data.splits import split_by_patient
from labutils.data.store import Source, Store

Digits = Mapping[str, tuple[np.ndarray, np.ndarray]]  # by file: gray values and true masks, uint8 (N, H, W) each
VERSION = 1  # raise it when the same digits would give another store
FILES = {"train": "train-images-idx3-ubyte", "t10k": "t10k-images-idx3-ubyte"}  # by how their digits are called
FRACTIONS = {"train": 0.7, "validate": 0.15, "test": 0.15}
SEED = 0  # of the splits and of the noise
EMBEDDED_INK = 96  # of 255, after enlarging; MNIST's ink is every gray level above 0
SIZE_PX, MARGIN_PX = 28, 4  # as in MNIST, the ink lies in the inner 20 x 20 pixels

CARD = Card(
    name="digit-annotators",
    title="Handwritten digits with five simulated annotators",
    what="A digit under faint noise; annotators draw its ink truly, too thick, too thin, wrongly, or not at all.",
    licence="MIT for what is made here; digits of MNIST, or of scikit-learn (BSD-3-Clause)",
    citation="LeCun, Cortes and Burges, The MNIST database; Alpaydin and Kaynak, Optical recognition of digits (1998)",
    homepage="",
    raters="5 simulated annotators: good, over, under, wrong, blank",
    identified=True,
    classes=2,
    image="(C, H, W) = (1, 28, 28), gray values in [0, 1]",
    splits=tuple(FRACTIONS),
    how_to_get="comes with the package; for MNIST run labutils data fetch digit-annotators, or give the folder of its "
    "IDX files as root or in LABUTILS_DATA",
    quirks=(
        "The good annotator draws the truth itself.",
        "The blank annotator is present and drew nothing, which is not the same as being absent.",
        "Who wrote a digit is not known: each digit counts as a patient.",
    ),
    spacing_known=False,
    downloads=tuple(
        Download(
            urls=(f"https://raw.githubusercontent.com/fgnt/mnist/ae608a02b796c9ee908c082585a5f006fe05258e/{file}",),
            to=f"mnist_idx/{file}",
            sha256=sha256,
        )
        for file, sha256 in (
            ("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            ("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        )
    ),
)


def load(split: str, root: Path | None, limit: int | None = None) -> Store:
    """One split; see `labutils.data.catalog.load` for the arguments.

    Digits are dealt into splits by the hash of their ids; where MNIST's training file is there, its test file is the
    split "test", as everywhere in the field, and only the training digits are dealt.

    Returns:
        A memory-mapped store; raters as in `labutils.data.annotators.ANNOTATORS`; source "your copy", "twin" or
        "embedded".
    Raises:
        DataError: the folder has neither file, or one is damaged; the text names it.
    """
    files = {} if root is None else digit_files(root)
    facts = files_key(root, files.values(), VERSION, CARD) if root else repr((VERSION, CARD))
    key = sha256_of_bytes(facts.encode())

    def make() -> Store:
        digits = {name: mnist_digits(path) for name, path in files.items()} or {"digits": embedded_digits()}
        return annotated(digits, split, source=source_of(root) if root else "embedded")

    return prepared_store(f"digit-annotators-{split}", key, make).first(limit)


def digit_files(root: Path, names: Collection[str] = tuple(FILES)) -> dict[str, Path]:
    """The files of MNIST's digits in a folder, plain or compressed, by their keys of `FILES`.

    Raises:
        DataError: it has none of those named.
    """
    files = {name: FILES[name] for name in names}
    candidates = {name: (root / file, root / f"{file}.gz") for name, file in files.items()}
    there = {name: next((p for p in paths if p.is_file()), None) for name, paths in candidates.items()}
    found = {name: path for name, path in there.items() if path is not None}
    require(found, f"{root} has none of {', '.join(files.values())}, plain or .gz", DataError)
    return found


def mnist_digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The digits of one of MNIST's files: gray values and true masks (any ink), uint8 (N, 28, 28) each.

    Raises:
        DataError: the file is damaged, or its images have another size.
    """
    gray = read_idx(path, 3)
    fits = gray.shape[1:] == (SIZE_PX, SIZE_PX)
    require(fits, f"{path} holds images of {gray.shape[1:]} pixels; wanted {SIZE_PX} x {SIZE_PX}", DataError)
    return gray, (gray > 0).astype(np.uint8)


def embedded_digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits of scikit-learn in the form of MNIST: gray values and true masks, uint8 (1797, 28, 28) each."""
    from sklearn.datasets import load_digits

    small = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    side = SIZE_PX - 2 * MARGIN_PX
    enlarged = np.stack([cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC) for image in small])
    gray = np.pad(enlarged, ((0, 0), (MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX)))
    truth = (gray > EMBEDDED_INK).astype(np.uint8)
    return gray * truth, truth  # as in MNIST, there is no ink outside the truth


def annotated(
    digits: Digits,
    split: str,
    *,
    source: Source,
    annotators: tuple[str, ...] = tuple(ANNOTATORS),
    noise: Noise = "clip",
) -> Store:
    """Digits of one split under noise, drawn by simulated annotators.

    Args:
        digits: for each name, gray values and true masks, uint8 (N, H, W) each; with both "train" and "t10k", the
            second is the split "test".
        split: "train", "validate" or "test".
        source: where the digits come from.
        annotators: one a rater, in the order of the rater axis.
        noise: as for `labutils.data.annotators.add_noise`.
    """
    numbers = _dealt(digits, split)
    return drawn_digits(digits, numbers, card=CARD, split=split, source=source, annotators=annotators, noise=noise)


def drawn_digits(
    digits: Digits,
    numbers: Sequence[tuple[str, int]],
    *,
    card: Card,
    split: str,
    source: Source,
    annotators: tuple[str, ...],
    noise: Noise,
) -> Store:
    """Chosen digits under noise, drawn by simulated annotators; chance depends on the digit alone.

    Args:
        digits: as for `annotated`.
        numbers: the digits as (name, number in its file).
        card: of the store.
        split: name of the split.
        source: as for `annotated`.
        annotators: as for `annotated`.
        noise: as for `annotated`.
    """
    images = [add_noise(digits[n][0][i], numpy_rng_for(SEED, "digit noise", n, i), noise) for n, i in numbers]
    truth = np.stack([digits[name][1][i] for name, i in numbers])
    masks = [annotate(digits[n][1][i], annotators, numpy_rng_for(SEED, "digit rater", n, i)) for n, i in numbers]
    ids = tuple(f"{name}-{i}" for name, i in numbers)
    return Store(
        image=np.stack(images)[:, None],
        masks=np.stack(masks),
        present=np.ones((len(numbers), len(annotators)), bool),
        truth=truth,
        spacing_mm=np.ones((len(numbers), 2)),
        patients=ids,
        cases=ids,
        card=card,
        split=split,
        source=source,
    )


def _dealt(digits: Digits, split: str) -> list[tuple[str, int]]:
    """The digits of a split as (name, number in its file)."""
    kept_apart = set(FILES) <= set(digits)
    if kept_apart and split == "test":
        return [("t10k", i) for i in range(len(digits["t10k"][0]))]
    pool = [(name, i) for name in digits if not (kept_apart and name == "t10k") for i in range(len(digits[name][0]))]
    shares = {"train": 5 / 6, "validate": 1 / 6} if kept_apart else FRACTIONS
    chosen = split_by_patient([f"{name}-{i}" for name, i in pool], shares, SEED)[split]
    return [pool[i] for i in chosen]


def has_digits(folder: Path, names: Collection[str] = tuple(FILES)) -> bool:
    """Whether a folder has any of the files that `digit_files` looks for."""
    return any((folder / f"{FILES[name]}{ending}").is_file() for name in names for ending in ("", ".gz"))


def _holds(folder: Path, split: str) -> bool:
    return split in CARD.splits  # every split is dealt from the same files


DATASET = Dataset(card=CARD, load=load, folders=("mnist_idx", "MNIST"), found=has_digits, holds=_holds, embedded=True)
