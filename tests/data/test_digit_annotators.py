"""Digits with simulated annotators: from MNIST's files or from the embedded ones, dealt into splits."""

import gzip
import struct

import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.data import catalog
from labutils.data.annotators import ANNOTATORS, annotate
from labutils.data.digit_annotators import annotated


def bars(count, rng):
    gray = np.zeros((count, 28, 28), np.uint8)
    for image in gray:
        row = rng.integers(4, 12)
        image[row : row + 12, 12:17] = 200
    return gray


def write_mnist(folder, **counts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in counts.items():
        gray = bars(count, np.random.default_rng(0))
        head = bytes((0, 0, 8, 3)) + struct.pack(">3I", *gray.shape)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + gray.tobytes()))
    return folder


@pytest.fixture
def nowhere(monkeypatch):
    monkeypatch.delenv("LABUTILS_DATA", raising=False)


def test_without_files_the_embedded_digits_are_taken(nowhere):
    stores = {split: catalog.load("digit-annotators", split) for split in ("train", "validate", "test")}
    assert sum(len(store) for store in stores.values()) == 1797
    assert {store.source for store in stores.values()} == {"embedded"}
    assert len(set().union(*(store.cases for store in stores.values()))) == 1797
    store = stores["validate"]
    assert store.image.shape[1:] == (1, 28, 28)
    area = store.truth.mean(axis=(1, 2))
    assert 0.02 < area.min() < area.max() < 0.4  # every digit has ink and paper
    assert not store.truth[:, [0, 3, -4, -1]].any()
    ink, paper = (float(store.image[:, 0][store.truth == value].mean()) for value in (1, 0))
    assert ink > 0.5 > 0.05 > paper


def test_embedded_digits_are_made_once_wherever_one_stands(nowhere, tmp_path, monkeypatch):
    first = catalog.load("digit-annotators", "test")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("labutils.data.digit_annotators.embedded_digits", lambda: pytest.fail("made again"))
    assert catalog.load("digit-annotators", "test").manifest == first.manifest


def test_raters_are_the_annotators_and_all_present(nowhere):
    store = catalog.load("digit-annotators", "validate", limit=5)
    for truth, masks in zip(store.truth, store.masks, strict=True):
        assert np.array_equal(annotate(np.array(truth), list(ANNOTATORS)), masks)
    assert store.present.all()
    assert len(store) == 5


def test_the_files_of_mnist_are_taken_where_they_are(tmp_path):
    root = write_mnist(tmp_path / "MNIST", t10k=60)
    stores = [catalog.load("digit-annotators", split, root=tmp_path) for split in ("train", "validate", "test")]
    assert sum(map(len, stores)) == 60
    assert stores[0].source == "your copy"
    write_mnist(root, train=90)
    train, validate, test = (catalog.load("digit-annotators", s, root=tmp_path) for s in ("train", "validate", "test"))
    assert (len(train) + len(validate), len(test)) == (90, 60)
    assert all(case.startswith("t10k-") for case in test.cases)
    assert not set(train.cases) & set(validate.cases)


def test_noise_depends_on_the_digit_alone():
    gray = bars(40, np.random.default_rng(1))
    truth = (gray > 0).astype(np.uint8)
    few, many = (
        annotated({"digits": (gray[:n], truth[:n])}, "train", source="memory", annotators=("good",)) for n in (20, 40)
    )
    assert few.masks.shape[1] == 1
    rows = [many.cases.index(case) for case in few.cases]
    assert np.array_equal(few.image, many.image[rows])


def test_faults_are_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has none of train-images-idx3-ubyte"):
        catalog.load("digit-annotators", "train", root=tmp_path / "empty")
    head = bytes((0, 0, 8, 3)) + struct.pack(">3I", 1, 2, 2)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(head + bytes(4))
    with pytest.raises(DataError, match=r"images of \(2, 2\) pixels; wanted 28 x 28"):
        catalog.load("digit-annotators", "train", root=tmp_path)


@pytest.mark.data
def test_the_public_test_digits():
    stores = [catalog.load("digit-annotators", split) for split in ("train", "validate", "test")]
    assert sum(map(len, stores)) == 10_000
    assert stores[0].source == "your copy"
    assert stores[0].masks.shape[1:] == (5, 28, 28)
