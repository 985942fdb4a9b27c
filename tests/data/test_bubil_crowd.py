"""Datasets 4 and 6 of BU-BIL: crops of different sizes on one, and images of one place kept in one split."""

import numpy as np
import pytest
import torch

from labutils.cli.stores import training_stores
from labutils.core.checks import DataError, InputError
from labutils.data import catalog
from labutils.data.bubil import find_files
from labutils.data.bubil_crowd import same_place
from labutils.data.cards import require_identified
from labutils.data.splits import assert_disjoint
from labutils.metrics.disagreement import rater_diversity
from tests.data.bubil_tree import CROWD, black_on_white, crowd_mask, save, write_crowd

SLOTS = [f"CrowdsourcedAnnotations/mturk_annotation6-{k}" for k in range(1, 8)]
PLACES = ["T001", "T002", "T001", "T001", "T005"]


@pytest.fixture
def tree(tmp_path):
    return write_crowd(tmp_path / "bubil_cells", 6)


def gold(root, name):
    return root / "BU-BIL_Dataset6/GoldStandard" / f"seg_t{name}.png"


def test_crops_are_padded_below_and_to_the_right(tree):
    store = catalog.load("bubil-crowd-6", "train", root=tree)
    assert store.cases == tuple(f"T{name}" for name, *_ in CROWD)
    assert store.image.shape == (5, 1, 8, 9)
    assert (store.truth, store.card.identified) == (None, False)
    assert store.present.all()
    for i, (name, (height, width), _) in enumerate(CROWD):
        assert (store.image[i, 0, :height, :width] == np.float32(int(name)) / np.float32(255)).all()
        assert store.image[i].sum() == store.image[i, 0, :height, :width].sum()
        for slot in range(7):
            np.testing.assert_array_equal(store.masks[i, slot, :height, :width], crowd_mask(slot, (height, width)))
            assert store.masks[i, slot].sum() == crowd_mask(slot, (height, width)).sum()
    with pytest.raises(InputError, match="exchangeable"):
        require_identified(store.card, "a confusion matrix per rater")


def test_images_of_one_place_are_one_patient(tree):
    assert same_place(find_files(tree, 6, SLOTS)) == PLACES
    assert catalog.load("bubil-crowd-6", "train", root=tree).patients == tuple(PLACES)


def test_the_one_split_of_dataset_6_can_be_trained_on(tree):
    stores = training_stores("bubil-crowd-6", tree, None)
    assert_disjoint(stores._asdict())
    assert len(stores.train) + len(stores.validate) == 5


@pytest.mark.parametrize(
    ("mask", "says"),
    [(np.zeros((40, 40), bool), "is empty"), (np.eye(41, dtype=bool), r"has \(41, 41\) pixels and others \(40, 40\)")],
)
def test_a_gold_standard_without_a_place_is_refused(tree, mask, says):
    save(gold(tree, "003"), black_on_white(mask))
    with pytest.raises(DataError, match=rf"seg_t003\.png {says}"):
        catalog.load("bubil-crowd-6", "train", root=tree)


def test_a_split_without_images_is_told(tmp_path):
    write_crowd(tmp_path, 4)  # its three places fall into two splits
    with pytest.raises(DataError, match="holds 5 images and none falls into the split 'validate'"):
        catalog.load("bubil-crowd-4", "validate", root=tmp_path)


PUBLISHED = {
    "bubil-crowd-4": ({"train": (31, 13), "validate": (17, 4), "test": (13, 4)}, (1, 128, 160), 0.7954),
    "bubil-crowd-6": ({"train": (35, 2)}, (1, 36, 33), 0.7272),
}


@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_crops_agree_as_reported(name):
    """The mean over images of the mean IoU over the 21 pairs of different slots."""
    counts, size, overlap = PUBLISHED[name]
    stores = {split: catalog.load(name, split) for split in catalog.available(name)}
    assert {split: (len(store), len(set(store.patients))) for split, store in stores.items()} == counts
    assert_disjoint(stores)
    agreement = []
    for store in stores.values():
        assert store.image.shape[1:] == size
        assert store.masks.any(axis=(2, 3)).all()
        masks = torch.from_numpy(np.array(store.masks)) == 1
        agreement.append(1 - rater_diversity(masks, estimator="U"))
    assert float(torch.cat(agreement).mean()) == pytest.approx(overlap, abs=0.0005)
