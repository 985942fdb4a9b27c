"""Small cases and cards for the tests of the data room, and a cache of their own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from labutils.core.types import Case
from labutils.data.cards import Card
from labutils.data.store import Store
from tests.data.pickles import some_crops, three_patients

LIDC_SCANS = (698, 1)  # LIDC-IDRI-0957 and LIDC-IDRI-0078, of 65 and 87 slices

TOY = Card(
    name="toy",
    title="Toy cases",
    what="Random pixels.",
    licence="MIT",
    citation="",
    homepage="",
    raters="random",
    identified=True,
    classes=2,
    image="(C, H, W) = (1, 6, 5)",
    splits=("train", "test"),
    how_to_get="made here",
)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABUTILS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def toy_card():
    """Returns a card; keyword arguments replace fields."""
    return lambda **changes: dataclasses.replace(TOY, **changes)


@pytest.fixture(scope="session")
def toy_case():
    """Returns a random case; the same number gives the same case."""

    def make(number=0, *, size=(6, 5), raters=3, channels=1, absent=(), truth=False, **ids):
        rng = np.random.default_rng(number)
        present = np.array([r not in absent for r in range(raters)])
        masks = rng.integers(0, 2, (raters, *size), dtype=np.uint8) * present[:, None, None].astype(np.uint8)
        ids = {"patient": f"p{number // 2}", "case": f"c{number}"} | ids
        return Case(
            image=rng.random((channels, *size), dtype=np.float32),
            masks=masks,
            present=present,
            truth=rng.integers(0, 2, size, dtype=np.uint8) if truth else None,
            spacing_mm=(0.5 + number, 0.7),
            **ids,
        )

    return make


@pytest.fixture(scope="session")
def toy_store(toy_case):
    """Returns a store of `n` cases with ragged raters, two cases a patient."""

    def make(n=7, *, split="train", **settings):
        cases = [toy_case(i, **({"raters": 1 + i % 3} | settings)) for i in range(n)]
        return Store.from_cases(cases, card=TOY, split=split)

    return make


@pytest.fixture(scope="session")
def lidc_dicom(tmp_path_factory):
    """A folder with two small scans of LIDC-IDRI as DICOM files: all is real but the pixels."""
    from labutils.data.dicom_twin import write_scan

    root = tmp_path_factory.mktemp("dicom")
    for scan in LIDC_SCANS:
        write_scan(root, scan)
    return root


@pytest.fixture(scope="session")
def series():
    """For each split, a patient of LIDC-IDRI and the ids of their series; the one to train on has two."""
    return three_patients()


@pytest.fixture(scope="session")
def pickled(series):
    """Crops of three patients, not in the order of their names."""
    return some_crops(series)
