"""Dataset 1 of BU-BIL: people and tools in a fixed order, the gold standard apart, one size for all."""

import numpy as np
import pytest
import torch

from labutils.core.checks import DataError
from labutils.data import bubil, catalog
from labutils.data.bubil_experts import CARD, RATERS
from labutils.data.splits import assert_disjoint
from labutils.metrics.overlap import self_iou
from tests.data.bubil_tree import black_on_white, expert_mask, save, write_experts

SIZE = (20, 24)


@pytest.fixture
def tree(tmp_path):
    return write_experts(tmp_path / "Rabbit")


def load_all(root=None):
    return {split: catalog.load("bubil-experts", split, root=root) for split in CARD.splits}


def test_every_image_is_in_one_split_with_all_its_raters(tree):
    stores = load_all(tree)
    assert_disjoint(stores)
    assert sorted(case for store in stores.values() for case in store.cases) == [f"B{n:02}" for n in range(12)]
    for store in stores.values():
        assert store.patients == store.cases
        assert store.present.all()
        assert store.card.identified
        for case, gray, masks, truth in zip(store.cases, store.image, store.masks, store.truth, strict=True):
            number, size = int(case[1:]), (24, 30) if case == "B02" else SIZE
            first = (2 * size[1] + 3 if case == "B02" else 0) + number  # where the window of the larger image begins
            assert gray[0, 0, 0] == np.float32(first) / np.float32(255)
            top, left = (size[0] - 20) // 2, (size[1] - 24) // 2
            for rater in range(8):
                drawn = expert_mask(number, rater, size)[top : top + 20, left : left + 24]
                np.testing.assert_array_equal(masks[rater], drawn)
            np.testing.assert_array_equal(truth, expert_mask(number, 9, size)[top : top + 20, left : left + 24])


def test_the_dataset_is_found_under_its_names(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path))
    assert catalog.available("bubil-experts") == ("train", "validate", "test")
    assert len(catalog.load("bubil-experts", "train", limit=2)) == 2
    tree.rename(tmp_path / "bubil_cells")
    assert catalog.searched("bubil-experts")[0] == (tmp_path / "bubil_cells", True)


def test_an_outline_outside_the_window_is_refused(tree):
    mask = expert_mask(2, 0, (24, 30))
    mask[0, 0] = True
    save(tree / "BU-BIL_Dataset1/ExpertsAnnotations/Person4_Amira/seg_B02.png", black_on_white(mask))
    with pytest.raises(DataError, match=r"B02\.png has outlines outside its middle \(20, 24\) pixels"):
        load_all(tree)


def test_a_split_without_images_is_told(tmp_path):
    write_experts(tmp_path, images=1)
    with pytest.raises(DataError, match="holds 1 images and none falls into the split"):
        load_all(tmp_path)


def test_no_folder_is_told(monkeypatch):
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    with pytest.raises(DataError, match="bubil-experts was not found"):
        catalog.load("bubil-experts", "train")


@pytest.mark.data
def test_the_published_images_are_all_there():
    stores = load_all()
    assert {split: len(store) for split, store in stores.items()} == {"train": 15, "validate": 5, "test": 5}
    for store in stores.values():
        assert store.image.shape[1:] == (1, 811, 1024)
        assert store.masks.shape[1:] == (8, 811, 1024)
        assert store.masks.any(axis=(2, 3)).all()


@pytest.mark.data
def test_the_gold_standard_is_what_the_fifth_person_drew():
    root = next(folder for folder, found in catalog.searched("bubil-experts") if found)
    for files in bubil.find_files(root, 1, ["ExpertsAnnotations/Person2_Amira", "ExpertsAnnotations/Person2_ImageJ"]):
        gold = bubil.read_mask(files.gold)
        for path in files.masks:
            np.testing.assert_array_equal(bubil.read_mask(path), gold)


@pytest.mark.data
def test_overlap_of_people_and_tools():
    """Means over pairs of the mean IoU over images; the fifth person counts twice, with equal masks, or not at all."""
    matrices = []
    for store in load_all().values():
        for drawn, gold in zip(store.masks, store.truth, strict=True):
            masks = torch.from_numpy(np.concatenate([drawn, gold[None], gold[None]])) == 1
            matrices.append(self_iou(masks[None])[0])
    mean = torch.stack(matrices).mean(dim=0)
    who = [rater.split("_")[0] for rater in RATERS] + ["Person2"] * 2

    def over_pairs(raters, same):
        pairs = [(i, j) for i in range(raters) for j in range(i) if (who[i] == who[j]) == same]
        return float(torch.stack([mean[pair] for pair in pairs]).mean())

    assert over_pairs(10, same=False) == pytest.approx(0.746, abs=0.001)
    assert over_pairs(10, same=True) == pytest.approx(0.793, abs=0.001)
    assert over_pairs(8, same=False) == pytest.approx(0.737, abs=0.001)
    assert over_pairs(8, same=True) == pytest.approx(0.741, abs=0.001)  # hardly more: tools differ as people do
