"""Twins of the digit datasets: the digits of scikit-learn, annotated and stored as each original is."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from labutils.core.checks import ConfigError, require
from labutils.core.runtime import numpy_rng_for
from labutils.data.annotators import add_noise, annotate
from labutils.data.digit_annotators import FILES, embedded_digits
from labutils.data.idx import UNSIGNED_BYTES
from labutils.data.mnist_annotators import FOLDERS
from labutils.data.tiff import write_tiff


def write_tiff_digits(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """The twin of ``mnist-annotators``: noisy digits of three equal channels, and what each annotator drew of them.

    As in the original, negative noise wraps around to bright, and a folder ``All`` of the split "train" repeats
    ``Over``.

    Raises:
        ConfigError: more cases than there are digits.
    """
    gray, truth = embedded_digits()
    for split, numbers in _dealt(cases, seed).items():
        for number, digit in enumerate(numbers):
            noisy = add_noise(gray[digit], numpy_rng_for(seed, "twin noise", split, number), "wrap")
            levels = np.round(noisy.astype(np.float64) * 255) / 255  # the original was noisy in 8 bits
            drawn = dict(zip(FOLDERS.values(), annotate(truth[digit], list(FOLDERS)), strict=True))
            write_tiff(folder / split / "Gaussian" / f"{number}_Gaussian.tif", np.stack([levels] * 3, axis=2), "rgb")
            for name, mask in drawn.items():
                write_tiff(folder / split / name / f"{number}_{name}.tif", mask)
            if split == "train":
                write_tiff(folder / split / "All" / f"{number}_Over.tif", drawn["Over"])


def write_idx_digits(folder: Path, cases: Mapping[str, int], seed: int) -> None:
    """The twin of the files of MNIST that ``digit-annotators`` reads: images and labels, compressed IDX.

    Raises:
        ConfigError: more cases than there are digits.
    """
    from sklearn.datasets import load_digits

    gray, labels = embedded_digits()[0], load_digits().target.astype(np.uint8)
    for part, numbers in _dealt(cases, seed).items():
        name = FILES[part]
        _write_idx(folder / f"{name}.gz", gray[numbers])
        _write_idx(folder / f"{name.replace('images-idx3', 'labels-idx1')}.gz", labels[numbers])


def _write_idx(path: Path, array: np.ndarray) -> None:
    head = bytes((0, 0, UNSIGNED_BYTES, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes(), mtime=0))


def _dealt(cases: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
    """Which digits each part gets; none twice."""
    count, wanted = len(embedded_digits()[0]), sum(cases.values())
    require(wanted <= count, f"a twin can have {count} digits; wanted {wanted}", ConfigError)
    order = numpy_rng_for(seed, "twin digits").permutation(count)
    ends = np.cumsum(list(cases.values()))
    return dict(zip(cases, np.split(order, ends)[: len(cases)], strict=True))
