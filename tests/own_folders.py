"""Folders as people bring them, written from synthetic discs: pictures, or volumes."""

from __future__ import annotations

import gzip
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.data.own import load_own
from labutils.data.own_faults import faults_of
from tests.discs import disc_store

RATERS = ("anna", "ben", "cleo")
AFFINE = np.array([[-0.5, 0, 0, 10], [0, -0.75, 0, 20], [0, 0, 3, -30], [0, 0, 0, 1]])  # axes LPS, as CT is stored


def save(path: Path, array: np.ndarray) -> Path:
    """Write a picture; colors are R, G, B."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array if array.ndim == 2 else array[..., ::-1])
    return path


def save_volume(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """Write (I, J, K) as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = nibabel.Nifti1Image(array, affine, dtype=array.dtype).to_bytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.name.endswith(".gz") else content)
    return path


def write_discs(root: Path, *, cases: int = 10, size: int = 16, raters: tuple[str, ...] = RATERS) -> Path:
    """Pictures of 8 bits, named d00, d01, ...; rater k did not judge case i where 5 divides i + k."""
    store = disc_store(cases=cases, size=size, raters=max(len(raters), 1))
    for i in range(cases):
        name = f"d{i:02d}.png"
        save(root / "images" / name, (store.image[i, 0] * 255).round().astype(np.uint8))
        for k, rater in enumerate(raters):
            if (i + k) % 5:
                save(root / "masks" / rater / name, store.masks[i, k] * 255)
    return root


def write_volumes(root: Path, *, count: int = 10, planes: int = 3, size: int = 16) -> Path:
    """Volumes of CT-like values, named v0, v1, ..., of one rater each; planes differ in size from volume to volume."""
    store = disc_store(cases=count * planes, size=size, raters=1)
    for i in range(count):
        rows = slice(i * planes, (i + 1) * planes)
        cut = np.s_[:, : size - i % 2, :]
        image = (store.image[rows, 0] * 1400 - 1000).astype(np.int16)
        save_volume(root / "images" / f"v{i}.nii.gz", image[cut].transpose(2, 1, 0))
        save_volume(root / "masks" / "anna" / f"v{i}.nii.gz", store.masks[rows, 0][cut].transpose(2, 1, 0))
    (root / "dataset.toml").write_text("window = [-1000, 400]\n")
    return root


def write_table(root: Path, *lines: str) -> None:
    """Write ``cases.csv``."""
    (root / "cases.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def retold(root, *changes):
    """The table with lines replaced by number; one more is added."""
    lines = (root / "cases.csv").read_text().splitlines()
    for number, text in changes:
        lines[number : number + 1] = [text]
    write_table(root, *lines)


def settings(root, text):
    (root / "dataset.toml").write_text(text)


def require_told(root, sentence):
    """The fault is told, and as the first one it is what loading raises."""
    faults = faults_of(root)
    assert sentence in map(str, faults)
    with pytest.raises(DataError) as caught:
        load_own(root, "train")
    assert str(caught.value) == f"{root / faults[0].path}: {faults[0].what}; wanted {faults[0].wanted}"
