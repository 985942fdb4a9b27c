import shutil

import cv2
import numpy as np
import pytest

from labutils.core.checks import DataError, InputError
from labutils.core.runtime import data_root
from labutils.data import catalog, lidc_four
from labutils.data.cards import require_identified
from labutils.data.lidc_four import CARD, UNKNOWN
from labutils.data.splits import assert_disjoint
from tests.data.lidc_four_files import CROPS, FIRST, SLICES, pixels, save, write_crop, write_slice


@pytest.fixture
def crops(tmp_path):
    """The first form: two patients to train on, one to validate."""
    root = tmp_path / "data" / "lidc_four"
    for name in CROPS:
        write_crop(root, name)
    write_crop(root, "LIDC-IDRI-0003/z-5_c0", split="val")
    return root


@pytest.fixture
def slices(tmp_path):
    """The second form: one folder of three slices."""
    root = tmp_path / "data" / "slices"
    for number, n in SLICES.items():
        write_slice(root, number, n)
    return root


def load(root, split="train", **settings):
    return catalog.load("lidc-four", split, root=root, **settings)


def image(root, name=FIRST, split="train"):
    return root / split / "images" / f"{name}.png"


def label(root, k, name=FIRST, split="train"):
    return root / split / "gt" / f"{name}_l{k}.png"


def test_a_crop_becomes_a_case(crops):
    store = load(crops)
    assert store.cases == tuple(name.replace("/", "_") for name in CROPS)
    assert store.patients == ("LIDC-IDRI-0002",) * 3 + ("LIDC-IDRI-0010",)
    assert (store.source, store.split, store.truth, store.card) == ("your copy", "train", None, CARD)
    assert store.spacing_mm.tolist() == [[1.0, 1.0]] * 4
    for i, name in enumerate(CROPS):
        gray, masks = pixels(name)
        case = store[i]
        assert case.image.dtype == np.float32
        np.testing.assert_allclose(case.image[0], gray / 255, rtol=1e-7)
        np.testing.assert_array_equal(case.masks, masks)
        assert case.present.tolist() == [True] * 4
        assert case.spacing_mm is None


def test_a_slice_becomes_a_case(slices):
    store = load(slices)
    assert store.cases == ("2_image_3", "10_image_11", "11_image_12")
    assert store.patients == (UNKNOWN,) * 3
    assert store.present.all()
    np.testing.assert_allclose(store.image.mean(axis=(1, 2, 3)), np.array([20, 100, 110]) / 255, rtol=1e-6)
    assert store.masks.sum(axis=(2, 3)).tolist() == [[128, 128, 256, 0]] * 3
    assert store.masks[0, 0, :8].all()


def test_patients_come_first_in_the_order_and_by_their_numbers(tmp_path):
    for name in ("p10/z--9_c0", "p2/z-30_c0", "p2/z-4.5_c1"):
        write_crop(tmp_path, name)
    assert load(tmp_path).cases == ("p2_z-4.5_c1", "p2_z-30_c0", "p10_z--9_c0")


def test_labels_may_be_numbered_from_one(crops, tmp_path):
    for name in CROPS:
        write_crop(tmp_path / "other", name, first=1)
    assert load(tmp_path / "other").manifest == load(crops).manifest


def test_each_crop_may_be_numbered_its_own_way(crops, tmp_path):
    for i, name in enumerate(CROPS):
        write_crop(tmp_path / "other", name, first=i % 2)
    assert load(tmp_path / "other").manifest == load(crops).manifest


def test_the_order_of_raters_follows_the_numbers(crops):
    before = load(crops).masks[0].copy()
    paths = [label(crops, k) for k in (0, 1)]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[::-1], strict=True):
        path.write_bytes(content)
    np.testing.assert_array_equal(load(crops).masks[0], before[[1, 0, 2, 3]])


def test_splits_go_by_their_folders_names(crops, slices):
    assert load(crops, "validate").patients == ("LIDC-IDRI-0003",)
    assert catalog.available("lidc-four", crops) == ("train", "validate")
    write_slice(slices, "7", 8, folder="testing")
    assert load(slices, "test").cases == ("7_image_8",)
    assert catalog.available("lidc-four", slices) == ("train", "test")


def test_slices_of_unknown_patients_are_never_held_to_be_disjoint(slices):
    write_slice(slices, "7", 8, folder="testing")
    with pytest.raises(DataError, match=UNKNOWN):
        assert_disjoint({"train": load(slices), "test": load(slices, "test")})


def test_a_split_without_masks_gives_images_only(crops):
    shutil.rmtree(crops / "train" / "gt")
    store = load(crops)
    assert not store.labeled
    assert store.batch([0, 3]).image.shape == (2, 1, 8, 6)
    with pytest.raises(InputError, match="lidc-four/train has no masks"):
        store[0]


def test_the_second_load_opens_what_the_first_prepared(crops, monkeypatch):
    first = load(crops)
    monkeypatch.setattr(lidc_four, "read_gray", lambda *_: pytest.fail("a file was read again"))
    second = load(crops)
    assert second.manifest == first.manifest
    assert isinstance(second.image.base, np.memmap)
    assert load(crops, limit=2).cases == first.cases[:2]


def test_a_changed_file_is_read_again(crops):
    before = load(crops).manifest
    save(label(crops, 3), np.full((8, 6), 255, np.uint8))
    assert load(crops).manifest != before


def test_hidden_files_are_passed_over(crops):
    image(crops).with_name("._z-1_c0.png").write_bytes(b"no picture")
    assert len(load(crops)) == 4


def gray(value, shape=(8, 6), dtype=np.uint8):
    return np.full(shape, value, dtype)


IMAGE, MASK = rf"images/{FIRST}\.png", rf"gt/{FIRST}_l0\.png"
NUMBERS = "; wanted 4 files, numbered 0 to 3 or 1 to 4"
CROP_REFUSALS = {
    "numbered both ways": (lambda r: label(r, 3).rename(label(r, 4)), IMAGE + " has the labels 0, 1, 2, 4" + NUMBERS),
    "numbered from 2": (
        lambda r: [label(r, k).rename(label(r, k + 2)) for k in (3, 2, 1, 0)],
        IMAGE + " has the labels 2, 3, 4, 5" + NUMBERS,
    ),
    "label missing": (lambda r: label(r, 1).unlink(), IMAGE + " has the labels 0, 2, 3" + NUMBERS),
    "label too many": (lambda r: save(label(r, 4), gray(0)), IMAGE + " has the labels 0, 1, 2, 3, 4" + NUMBERS),
    "image without masks": (
        lambda r: [label(r, k).unlink() for k in range(4)],
        IMAGE + r" has no masks in \S+train/gt \(1 such images in all\)",
    ),
    "masks without image": (
        lambda r: image(r).unlink(),
        MASK + r" has no image in \S+train/images \(4 such masks in all\)",
    ),
    "no masks in the folder": (
        lambda r: [p.unlink() for p in (r / "train" / "gt").rglob("*.png")],
        r"has no masks in \S+train/gt \(4 such images in all\)",
    ),
    "no images": (
        lambda r: [p.unlink() for p in (r / "train" / "images").rglob("*.png")],
        r"train/images holds no \.png file",
    ),
    "image of another size": (
        lambda r: save(image(r, CROPS[2]), gray(0, (8, 7))),
        rf"{CROPS[2]}\.png has \(8, 7\) pixels and \S+{FIRST}\.png \(8, 6\); wanted one size",
    ),
    "mask of another size": (lambda r: save(label(r, 0), gray(0, (9, 6))), MASK + r" has \(9, 6\) pixels and"),
    "image in colors": (
        lambda r: save(image(r), gray(0, (8, 6, 3)) + np.array([0, 1, 2], np.uint8)),
        IMAGE + " holds colors; wanted one channel",
    ),
    "image of 16 bits": (lambda r: save(image(r), gray(1, dtype=np.uint16)), IMAGE + " holds uint16; wanted 8 bits"),
    "image cut short": (lambda r: image(r).write_bytes(image(r).read_bytes()[:-20]), IMAGE + " is cut short"),
    "mask no picture": (lambda r: label(r, 0).write_text("no"), MASK + " is neither PNG nor JPEG"),
    "mask of 1": (
        lambda r: save(label(r, 0), gray(1)),
        MASK + " holds the gray value 1; wanted a mask, 0 and 255 only",
    ),
    "mask of 254": (lambda r: save(label(r, 0), gray(254)), MASK + " holds the gray value 254"),
    "image of another name": (
        lambda r: image(r).rename(image(r, "LIDC-IDRI-0002/slice1")),
        r"slice1\.png has a name of another form; wanted <patient>/z-<z>_c<crop>\.png in",
    ),
    "mask of another name": (
        lambda r: label(r, 0).rename(label(r, "x")),
        r"_lx\.png has a name of another form; wanted <patient>/z-<z>_c<crop>_l<k>\.png in",
    ),
    "image without patient": (
        lambda r: image(r).rename(image(r, "z-1_c0")),
        r"images/z-1_c0\.png has a name of another form",
    ),
}


def slice_file(root, name, number="10"):
    return root / "training" / number / name


SLICE_NUMBERS = "; wanted 4 files, numbered 0 to 3$"
SLICE_REFUSALS = {
    "label missing": (
        lambda r: slice_file(r, "label3_.jpg").unlink(),
        r"10/image_11\.jpg has the labels 0, 1, 2" + SLICE_NUMBERS,
    ),
    "label too many": (
        lambda r: save(slice_file(r, "label4_.jpg"), gray(0, (16, 16))),
        "has the labels 0, 1, 2, 3, 4" + SLICE_NUMBERS,
    ),
    "numbered from one": (
        lambda r: slice_file(r, "label0_.jpg").rename(slice_file(r, "label4_.jpg")),
        "has the labels 1, 2, 3, 4" + SLICE_NUMBERS,
    ),
    "image without labels": (
        lambda r: [slice_file(r, f"label{k}_.jpg").unlink() for k in range(4)],
        r"image_11\.jpg has no labels" + SLICE_NUMBERS,
    ),
    "labels without image": (
        lambda r: slice_file(r, "image_11.jpg").unlink(),
        r"training/10 holds 0 images; wanted one image_<n>\.jpg",
    ),
    "two images": (
        lambda r: save(slice_file(r, "image_12.jpg"), gray(0, (16, 16))),
        "training/10 holds 2 images; wanted one",
    ),
    "a picture for a mask": (
        lambda r: save(slice_file(r, "label2_.jpg"), gray(128, (16, 16))),
        r"10/label2_\.jpg holds the gray value 128; wanted a mask, 0 to 10 and 245 to 255 only",
    ),
    "size": (lambda r: save(slice_file(r, "label2_.jpg"), gray(0, (16, 8))), r"10/label2_\.jpg has \(16, 8\) pixels"),
    "cut short": (
        lambda r: slice_file(r, "image_11.jpg").write_bytes(slice_file(r, "image_11.jpg").read_bytes()[:-9]),
        r"10/image_11\.jpg is cut short",
    ),
    "case without number": (
        lambda r: (r / "training" / "10").rename(r / "training" / "ten"),
        r"ten/image_11\.jpg has a name of another form; wanted <case number>/",
    ),
    "no files": (
        lambda r: [p.unlink() for p in (r / "training").rglob("*.jpg")],
        r"training holds no \.jpg file",
    ),
}


def assert_refused(root, text):
    with pytest.raises(DataError, match=text) as caught:
        load(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", CROP_REFUSALS)
def test_each_damage_of_crops_gets_one_sentence(crops, damage):
    change, text = CROP_REFUSALS[damage]
    change(crops)
    assert_refused(crops, text)


@pytest.mark.parametrize("damage", SLICE_REFUSALS)
def test_each_damage_of_slices_gets_one_sentence(slices, damage):
    change, text = SLICE_REFUSALS[damage]
    change(slices)
    assert_refused(slices, text)


@pytest.mark.parametrize(("value", "label"), [(0, 0), (10, 0), (245, 1), (255, 1)])
def test_the_edges_of_what_jpeg_may_add(slices, value, label):
    path = slice_file(slices, "label2_.jpg")
    save(path, gray(value, (16, 16)))
    assert (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) == value).all()
    assert (load(slices).masks[1, 2] == label).all()


@pytest.mark.parametrize("value", [11, 244])
def test_just_beyond_the_edges_is_no_mask(slices, value):
    save(slice_file(slices, "label2_.jpg"), gray(value, (16, 16)))
    assert_refused(slices, f"holds the gray value {value}")


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ((5, 2), "holds 4 images of 2 patients; wanted 5 of 2"),
        ((4, 1), "holds 4 images of 2 patients; wanted 4 of 1"),
        ((4, 2), None),
        ((99, 3), None),
    ],
)
def test_a_whole_split_must_have_the_published_size(crops, monkeypatch, expected, text):
    monkeypatch.setitem(lidc_four.EXPECTED, "train", expected)
    if text is None:
        assert len(load(crops)) == 4
    else:
        assert_refused(crops, "train " + text)


def test_both_forms_in_one_folder_are_refused(crops, slices):
    (slices / "training").rename(crops / "training")
    assert_refused(crops, "holds both forms of the dataset; wanted train or val or test, or training or testing")


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("train", "looks like a folder inside the dataset"),
        ("train/images", "it has none of them"),
        ("nowhere", "is not a folder"),
    ],
)
def test_a_wrong_root_is_explained(crops, inside, text):
    assert_refused(crops / inside, text)


def test_a_split_without_files_names_those_that_exist(crops, slices):
    with pytest.raises(DataError, match="no files for the split 'test'; it has train, validate"):
        load(crops, "test")
    with pytest.raises(DataError, match="no files for the split 'validate'; it has train"):
        load(slices, "validate")


def test_no_folder_is_refused_with_how_to_get_it():
    with pytest.raises(DataError, match="lidc-four needs its folder; for the crops, copy the folder"):
        lidc_four.load("train", None)


def test_other_datasets_with_like_folders_are_not_taken_for_this_one(crops, slices, tmp_path):
    save(tmp_path / "other" / "train" / "images" / "cat.png", gray(0))
    found = {root: lidc_four.DATASET.found(root) for root in (crops, slices, tmp_path / "other", tmp_path)}
    assert list(found.values()) == [True, True, False, False]


def test_the_raters_are_exchangeable():
    with pytest.raises(InputError, match="exchangeable"):
        require_identified(CARD, "a matrix per rater")


@pytest.mark.data
def test_the_public_slices_hold_what_they_should():
    store = load(data_root())
    assert store.image.shape == (19, 1, 128, 128)
    assert store.present.all()
    assert store.present.shape == (19, 4)
    drawn = store.masks.any(axis=(2, 3)).sum(axis=1)
    assert {n: int((drawn == n).sum()) for n in range(5)} == {0: 0, 1: 4, 2: 0, 3: 1, 4: 14}
    assert [int(case.split("_")[0]) for case in store.cases] == [n for n in range(20) if n != 12]
    assert 0 <= store.image.min() < store.image.max() <= 1
    assert set(store.patients) == {UNKNOWN}
