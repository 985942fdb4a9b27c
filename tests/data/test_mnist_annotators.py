"""Published digits with annotators: read as they are, equal to the simulated annotators, fused as reported."""

import numpy as np
import pytest
import tifffile
import torch

from labutils.consensus.majority import majority
from labutils.consensus.staple import staple
from labutils.core.checks import DataError
from labutils.data import catalog
from labutils.data.annotators import add_noise, annotate
from labutils.data.mnist_annotators import FOLDERS
from labutils.metrics.overlap import dice


def write_digits(root, split="train", numbers=(0, 2, 10)):
    """Bars of different lengths, annotated by the simulated annotators."""
    for number in numbers:
        truth = np.zeros((28, 28), np.uint8)
        truth[4 : 12 + number, 10:16] = 1
        gray = add_noise(truth * np.uint8(255), np.random.default_rng(number))
        images = {"Gaussian": np.repeat(gray[:, :, None], 3, axis=2).astype(np.float64)}
        images |= dict(zip(FOLDERS.values(), annotate(truth, list(FOLDERS)), strict=True))
        for folder, image in images.items():
            (root / split / folder).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(root / split / folder / f"{number}_{folder}.tif", image, photometric="minisblack")
    return root


@pytest.fixture
def digits(tmp_path):
    return write_digits(tmp_path / "digits")


def test_the_store_holds_the_files(digits):
    store = catalog.load("mnist-annotators", "train", root=digits)
    assert store.cases == ("train-0", "train-2", "train-10")  # by number, not by name
    assert store.patients == store.cases
    assert store.image.shape == (3, 1, 28, 28)
    assert np.array_equal(store.truth, store.masks[:, 0])
    assert store.present.all()
    assert np.array_equal(store.masks[1], annotate(np.array(store.truth[1]), list(FOLDERS)))
    assert store.card.identified
    assert len(catalog.load("mnist-annotators", "train", root=digits, limit=2)) == 2


def rewrite(name, array):
    def damage(root):
        tifffile.imwrite(root / "train" / name, array, photometric="minisblack")

    return damage


DAMAGES = {
    "mask is gone": (lambda root: (root / "train/Under/2_Under.tif").unlink(), r"2_Under\.tif cannot be read"),
    "mask value": (rewrite("Over/2_Over.tif", np.full((28, 28), 255, np.uint8)), "holds the value 255"),
    "mask size": (rewrite("Wrong/0_Wrong.tif", np.ones((28, 27), np.uint8)), r"\(28, 27\) pixels"),
    "mask is an image": (rewrite("GT/0_GT.tif", np.ones((28, 28))), "bool or unsigned"),
    "color": (rewrite("Gaussian/0_Gaussian.tif", np.random.default_rng(0).random((28, 28, 3))), "three equal channels"),
    "range": (rewrite("Gaussian/0_Gaussian.tif", np.full((28, 28, 3), 1.5)), r"outside \[0, 1\]"),
    "not a number": (rewrite("Gaussian/0_Gaussian.tif", np.full((28, 28, 3), np.nan)), "three equal channels"),
    "damaged": (lambda root: (root / "train/GT/2_GT.tif").write_bytes(b"II*"), "cannot be read as TIFF"),
    "name": (lambda root: (root / "train/Gaussian/a.tif").write_bytes(b""), r"a\.tif has another name"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told(digits, name):
    damage, sentence = DAMAGES[name]
    damage(digits)
    with pytest.raises(DataError, match=sentence):
        catalog.load("mnist-annotators", "train", root=digits)


def test_other_folders_are_told(digits, tmp_path):
    with pytest.raises(DataError, match="no files for the split 'test'; it has train"):
        catalog.load("mnist-annotators", "test", root=digits)
    with pytest.raises(DataError, match="is not a folder"):
        catalog.load("mnist-annotators", "train", root=tmp_path / "gone")
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match="no split in it has a folder Gaussian"):
        catalog.load("mnist-annotators", "train", root=tmp_path / "other")


@pytest.mark.data
@pytest.mark.parametrize(("split", "cases"), [("train", 101), ("validate", 21)])
def test_published_masks_are_those_of_the_simulated_annotators(split, cases):
    store = catalog.load("mnist-annotators", split)
    assert len(store) == cases
    for truth, masks in zip(store.truth, store.masks, strict=True):
        assert np.array_equal(annotate(np.array(truth), ["good", "over", "under"]), masks[:3])


@pytest.mark.data
@pytest.mark.parametrize(("split", "by_majority", "by_staple"), [("train", 0.852, 0.909), ("validate", 0.856, 0.924)])
def test_fusing_the_published_raters_gives_the_known_overlap(split, by_majority, by_staple):
    store = catalog.load("mnist-annotators", split)
    masks, truth = torch.from_numpy(np.array(store.masks)), torch.from_numpy(np.array(store.truth)) == 1
    voted = majority(masks, None, 2, ties="strict") == 1
    assert float(dice(voted, truth).mean()) == pytest.approx(by_majority, abs=0.002)
    fused = staple(masks == 1, start=0.99).probability >= 0.5
    assert float(dice(fused, truth).mean()) == pytest.approx(by_staple, abs=0.002)
