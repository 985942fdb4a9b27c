"""A person's own folder becomes a store: pixels, raters, patients, splits, spacing, and the folder's own card."""

from __future__ import annotations

import cv2
import nibabel
import numpy as np
import pytest
import tifffile

from labutils.core.checks import ConfigError, DataError
from labutils.data import catalog, own
from labutils.data.own import load_own, own_dataset
from tests.own_folders import AFFINE, RATERS, save, save_volume, write_discs, write_table, write_volumes


def everything(root):
    return [load_own(root, split) for split in own_dataset(root).card.splits]


def mask(*shape):
    return (np.random.default_rng(1).random(shape) < 0.4).astype(np.uint8)


def one(root, image, name="a.png", **labels):
    """A folder of one image and its masks by rater, all in one split."""
    save(root / "images" / name, image)
    for rater, drawn in labels.items():
        save(root / "masks" / rater / name, drawn)
    write_table(root, "case,split", "a,train")
    return root


def test_pixels_raters_and_ids_come_back(tmp_path):
    root = write_discs(tmp_path / "my discs")
    stores = everything(root)
    assert sorted(case for store in stores for case in store.cases) == [f"d{i:02d}" for i in range(10)]
    for store in stores:
        assert (store.source, store.card.name, store.card.spacing_known) == ("your copy", "my-discs", False)
        assert list(store.cases) == sorted(store.cases) == list(store.patients)
        for i, case in enumerate(store.cases):
            gray = cv2.imread(str(root / "images" / f"{case}.png"), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(store.image[i, 0], gray.astype(np.float32) / np.float32(255))
            for k, rater in enumerate(RATERS):
                path = root / "masks" / rater / f"{case}.png"
                assert store.present[i, k] == path.exists()
                if path.exists():
                    drawn = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
                    np.testing.assert_array_equal(store.masks[i, k] * 255, drawn)
                else:
                    assert not store.masks[i, k].any()


def test_who_saw_nothing_is_present_and_who_has_no_file_is_absent(tmp_path):
    root = one(tmp_path, mask(4, 5) * 90, anna=mask(4, 5), ben=np.zeros((4, 5), np.uint8))
    (root / "masks" / "cleo").mkdir()
    store = load_own(root, "train")
    assert store.present.tolist() == [[True, True, False]]
    assert store.masks[0].any(axis=(1, 2)).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("image", "scale"),
    [
        (np.arange(60, dtype=np.uint8).reshape(4, 5, 3) * 4, 255),
        (np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000, 65535),
        (np.arange(60, dtype=np.uint16).reshape(4, 5, 3) * 1000, 65535),
    ],
)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_gray_and_colors_of_8_and_16_bits_are_divided_by_their_range(tmp_path, image, scale, ending):
    root = one(tmp_path, image, "a.png", anna=mask(4, 5))
    if ending == "tif":
        (root / "images" / "a.png").unlink()
        tifffile.imwrite(root / "images" / "a.TIF", image, compression="zlib")
    (got,) = load_own(root, "train").image
    wanted = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    np.testing.assert_allclose(got, wanted / scale, atol=1e-7)


@pytest.mark.parametrize(("window", "wanted"), [("", [0, 0.25, 1]), ("window = [-1, 0.5]", [2 / 3, 5 / 6, 1])])
def test_floating_point_lies_in_the_unit_range_or_in_a_window(tmp_path, window, wanted):
    root = one(tmp_path, np.zeros((1, 3), np.uint8), anna=mask(1, 3))
    (root / "images" / "a.png").unlink()
    tifffile.imwrite(root / "images" / "a.tif", np.array([[0, 0.25, 1]], np.float64))
    (root / "dataset.toml").write_text(window)
    np.testing.assert_allclose(load_own(root, "train").image[0, 0, 0], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("classes", "values", "wanted"),
    [(2, [0, 1], [0, 1]), (2, [0, 255], [0, 1]), (4, [1, 3], [1, 3]), (4, [0, 0], [0, 0])],
)
def test_masks_are_labels_or_black_and_white(tmp_path, classes, values, wanted):
    root = one(tmp_path, mask(1, 2), anna=np.array([values], np.uint8))
    save(root / "truth" / "a.png", np.array([values], np.uint8))
    (root / "dataset.toml").write_text(f"classes = {classes}")
    store = load_own(root, "train")
    assert store.masks[0, 0, 0].tolist() == store.truth[0, 0].tolist() == wanted
    assert store.card.classes == classes


def test_the_table_gives_patients_splits_and_spacings(tmp_path):
    root = write_discs(tmp_path, cases=4)
    header = "split,case,spacing_column_mm,patient,spacing_row_mm"
    write_table(root, header, *(f"{'train' if i < 2 else 'test'},d0{i},0.5,p{i // 2},0.{i + 1}" for i in range(4)))
    train, test = everything(root)
    assert (train.patients, test.patients) == (("p0", "p0"), ("p1", "p1"))
    assert train.card.splits == ("train", "test")
    assert test.spacing_mm.tolist() == [[0.3, 0.5], [0.4, 0.5]]
    assert test.card.spacing_known
    with pytest.raises(ConfigError, match="'validate'; wanted one of 'train', 'test'"):
        load_own(root, "validate")


def test_without_a_table_every_file_is_a_patient_and_adding_one_moves_nobody(tmp_path):
    root = write_discs(tmp_path, cases=40)
    before = {case: store.split for store in everything(root) for case in store.cases}
    assert [list(before.values()).count(split) for split in ("train", "validate", "test")] == [28, 7, 5]
    save(root / "images" / "new.png", mask(16, 16))
    save(root / "masks" / "anna" / "new.png", mask(16, 16))
    after = {case: store.split for store in everything(root) for case in store.cases}
    assert {case: split for case, split in after.items() if case != "new"} == before


def test_the_card_is_the_folder_s_own(tmp_path):
    root = write_discs(tmp_path)
    (root / "dataset.toml").write_text(
        'name = "wards"\ntitle = "Three wards"\nlicence = "CC BY 4.0"\ncitation = "Us, 2026"\nidentified = true\n'
    )
    card = load_own(root, "train").card
    assert (card.name, card.title, card.licence, card.citation) == ("wards", "Three wards", "CC BY 4.0", "Us, 2026")
    assert card.identified
    assert "anna, ben, cleo" in card.raters
    assert str(tmp_path) not in repr(card)


@pytest.mark.parametrize(
    ("folder", "name"), [("Ward 7 (é)", "Ward-7"), ("lidc-crops", "own-lidc-crops"), ("...", "own"), ("_x_", "x")]
)
def test_a_folder_without_a_name_is_called_as_it_is(tmp_path, folder, name):
    assert own_dataset(write_discs(tmp_path / folder, cases=1)).card.name == name


def test_smaller_images_are_padded_to_the_largest_of_the_folder(tmp_path):
    root = write_discs(tmp_path, cases=6)
    save(root / "images" / "wide.png", mask(10, 20) + 1)
    save(root / "masks" / "anna" / "wide.png", mask(10, 20))
    write_table(root, "case,split", "wide,test", *(f"d0{i},train" for i in range(6)))
    train, test = everything(root)
    assert train.image.shape[-2:] == test.image.shape[-2:] == train.masks.shape[-2:] == (16, 20)
    assert not train.image[..., 16:].any()
    np.testing.assert_array_equal(test.masks[0, 0, :10], mask(10, 20))
    assert not test.image[..., 10:, :].any()


def test_volumes_become_planes_with_their_spacing(tmp_path):
    root = write_volumes(tmp_path, count=4)
    stores = everything(root)
    cases = {case: (store, i) for store in stores for i, case in enumerate(store.cases)}
    assert sorted(cases) == [f"v{i}_z00{plane}" for i in range(4) for plane in range(3)]
    for case, (store, i) in cases.items():
        assert store.patients[i] == case.split("_")[0]
        assert store.spacing_mm[i].tolist() == [0.75, 0.5]
        assert store.image.shape[-2:] == (16, 16)
    store, i = cases["v1_z002"]
    assert store.card.spacing_known
    raw = np.asarray(nibabel.load(root / "images" / "v1.nii.gz").dataobj)[:, :, 2].T
    np.testing.assert_allclose(store.image[i, 0, :15], (raw + 1000.0) / 1400, atol=1e-6)
    assert not store.image[i, 0, 15:].any()


def test_the_window_of_volumes_is_applied(tmp_path):
    save_volume(tmp_path / "images" / "a.nii", np.array([[[-2000], [-1000]], [[-300], [400]]], np.int16))
    save_volume(tmp_path / "masks" / "anna" / "a.nii", np.array([[[0], [255]], [[0], [0]]], np.float32))
    (tmp_path / "dataset.toml").write_text("window = [-1000, 400]")
    write_table(tmp_path, "case,split", "a,train")
    store = load_own(tmp_path, "train")
    np.testing.assert_allclose(store.image[0, 0], [[0, 0.5], [0, 1]], atol=1e-6)  # rows run along the second axis
    assert store.masks[0, 0].tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize(("moved_mm", "accepted"), [(0, True), (5e-4, True), (2e-3, False)])
def test_a_mask_may_lie_a_thousandth_of_a_millimeter_off(tmp_path, moved_mm, accepted):
    root = write_volumes(tmp_path, count=3)
    affine = AFFINE.copy()
    affine[0, 3] += moved_mm
    save_volume(root / "masks" / "anna" / "v0.nii.gz", np.ones((16, 16, 3), np.uint8), affine)
    if accepted:
        assert len(everything(root)) >= 1
        return
    with pytest.raises(DataError, match=r"mm apart from its image's 16 x 16 x 3 voxels LPS of 0\.5 x 0\.75 x 3 mm"):
        load_own(root, "train")


def test_a_mask_stored_the_other_way_round_is_the_same_mask(tmp_path):
    root = write_volumes(tmp_path, count=1, size=16)
    before = [store.masks.copy() for store in everything(root)]
    path = root / "masks" / "anna" / "v0.nii.gz"
    stored = nibabel.load(path)
    turned = nibabel.as_closest_canonical(stored)
    save_volume(path, np.asarray(turned.dataobj), turned.affine)
    assert nibabel.aff2axcodes(turned.affine) != nibabel.aff2axcodes(stored.affine)
    for old, new in zip(before, everything(root), strict=True):
        np.testing.assert_array_equal(old, new.masks)


def test_images_alone_give_cases_without_raters(tmp_path):
    root = write_discs(tmp_path, raters=())
    store = load_own(root, "train")
    assert not store.labeled
    assert store.masks.shape[1] == 1


def test_the_first_cases_are_a_part(tmp_path):
    root = write_discs(tmp_path)
    assert load_own(root, "train", 2).cases == load_own(root, "train").cases[:2]


def test_pixels_are_read_once_and_again_after_a_change(tmp_path, monkeypatch):
    root = write_discs(tmp_path)
    reads = []
    read = own.read_cases
    monkeypatch.setattr(own, "read_cases", lambda *given: reads.append(1) or read(*given))
    everything(root)
    everything(root)
    assert len(reads) == 1  # for all splits
    save(root / "masks" / "anna" / "d01.png", np.zeros((16, 16), np.uint8))
    everything(root)
    (root / "dataset.toml").write_text('licence = "MIT"')
    everything(root)
    assert len(reads) == 3


def test_a_path_goes_wherever_a_name_goes(tmp_path, monkeypatch):
    write_discs(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "./mine", "mine/", str(tmp_path / "mine")):
        assert catalog.card(name).name == "mine"
        assert catalog.available(name) == ("train", "validate", "test")
        assert catalog.load(name, "train", limit=1).card.name == "mine"
        assert [found for _, found in catalog.searched(name)] == [True]


def test_the_catalog_comes_before_a_folder_of_the_same_name(tmp_path, monkeypatch):
    write_discs(tmp_path / "digit-annotators")
    monkeypatch.chdir(tmp_path)
    assert catalog.card("digit-annotators").classes == 2
    assert catalog.dataset("digit-annotators").place is None
    assert catalog.card("./digit-annotators").name == "own-digit-annotators"


def test_a_root_beside_a_path_is_refused(tmp_path):
    root = write_discs(tmp_path)
    for ask in (catalog.available, catalog.searched, lambda name, root: catalog.load(name, "train", root=root)):
        with pytest.raises(ConfigError, match=r"root is \., and .* names a folder already; wanted one of them"):
            ask(str(root), ".")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda root: None, "is not a folder; wanted one that holds images/ and masks/"),
        (lambda root: root.mkdir(), "has no folder images; wanted one file a case in it"),
        (lambda root: (root / "images").mkdir(parents=True), "images holds no image; wanted files that end in .png"),
    ],
)
def test_what_is_no_such_folder_is_refused(tmp_path, make, sentence):
    make(tmp_path / "gone")
    with pytest.raises(DataError, match=sentence):
        catalog.dataset(str(tmp_path / "gone"))


def test_nothing_is_written_into_the_folder(tmp_path):
    root = write_discs(tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*"))
    everything(root)
    assert sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*")) == before
