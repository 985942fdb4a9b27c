"""What the datasets of BU-BIL share: names that are matched, masks that are black on white, and refusals."""

import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.data.bubil import find_files, read_mask, read_masks
from tests.data.bubil_tree import black_on_white, box, save, write_crowd

SLOTS = [f"CrowdsourcedAnnotations/mturk_annotation4-{k}" for k in range(1, 8)]
MASK = box((4, 5), 1, 1, 2, 3)


@pytest.fixture
def tree(tmp_path):
    return write_crowd(tmp_path / "Rabbit")


@pytest.mark.parametrize("kind", ["1 bit", "gray", "rgb", "rgba", "palette"])
def test_black_is_the_object_however_it_is_stored(tmp_path, kind):
    mask = read_mask(save(tmp_path / "a.png", black_on_white(MASK), kind))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, MASK)


def test_a_third_gray_near_black_is_object(tmp_path):
    gray = black_on_white(MASK)
    gray[0, 0] = 24
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.png", gray)), MASK | (gray == 24))


def test_a_picture_is_no_mask(tmp_path):
    with pytest.raises(DataError, match=r"a\.png holds the gray value 100; wanted a mask, 0 to 32 and 223 to 255"):
        read_mask(save(tmp_path / "a.png", np.full((3, 3), 100, np.uint8)))


def test_names_are_matched_without_seg_and_in_any_case(tree):
    files = find_files(tree, 4, SLOTS)
    assert [one.name for one in files] == ["T001", "T002", "T003", "T004", "T005"]
    assert [path.parent.name for path in files[1].masks] == [slot.split("/")[1] for slot in SLOTS]
    assert (files[1].masks[0].name, files[1].gold.name) == ("seg_T002.png", "seg_t002.png")
    (tree / "BU-BIL_Dataset4/RawImages/._T001.png").write_bytes(b"left by a file manager")
    assert find_files(tree, 4, SLOTS) == files


def slot(k, name="seg_T002.png"):
    return f"BU-BIL_Dataset4/CrowdsourcedAnnotations/mturk_annotation4-{k}/{name}"


def twice(root):
    (root / slot(3, "Seg_t002.PNG".lower())).write_bytes((root / slot(3)).read_bytes())


DAMAGES = {
    "a mask is gone": (lambda r: (r / slot(3)).unlink(), r"T002\.png has no mask in \S+annotation4-3 \(1 such image"),
    "a gold is gone": (
        lambda r: (r / "BU-BIL_Dataset4/GoldStandard/seg_t002.png").unlink(),
        "no mask in .*GoldStandard",
    ),
    "an image is gone": (
        lambda r: (r / "BU-BIL_Dataset4/RawImages/T002.png").unlink(),
        r"seg_T002\.png has no image in",
    ),
    "one name twice": (twice, r"go by one name, t002; wanted one file"),
    "a folder is gone": (lambda r: (r / slot(3)).parent.rename(r / "moved"), r"annotation4-3 is missing"),
    "the dataset is gone": (lambda r: (r / "BU-BIL_Dataset4").rename(r / "moved"), "wanted BU-BIL_Dataset4 in it"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told(tree, name):
    damage, sentence = DAMAGES[name]
    damage(tree)
    with pytest.raises(DataError, match=sentence):
        find_files(tree, 4, SLOTS)


def test_an_empty_folder_is_told(tree):
    for path in (tree / "BU-BIL_Dataset4/RawImages").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"RawImages holds no \.png file"):
        find_files(tree, 4, SLOTS)


def test_masks_have_the_size_of_their_image(tree):
    files = find_files(tree, 4, SLOTS)[0]
    assert read_masks(files, (8, 6)).shape == (7, 8, 6)
    with pytest.raises(DataError, match=r"seg_T001\.png has \(8, 6\) pixels and \S+T001\.png \(9, 9\)"):
        read_masks(files, (9, 9))
