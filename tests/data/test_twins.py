"""A twin is read by the reader of its original, and is told from it."""

import json
import os
import re
from collections import Counter
from functools import partial

import numpy as np
import pytest
import tifffile
import torch

from labutils.consensus.odd_raters import odd_raters
from labutils.core.checks import ConfigError, DataError
from labutils.data import catalog, twins
from labutils.data.annotators import ANNOTATORS
from labutils.data.bubil import read_mask
from labutils.data.idx import read_idx
from labutils.data.lidc_crops import read_metadata
from labutils.data.lidc_four import UNKNOWN
from labutils.data.lidc_prepare import PrepareConfig, prepare_lidc
from labutils.data.lidc_raters import LidcRatersConfig
from labutils.data.pictures import read_gray
from labutils.data.prepared import TWIN_FILE
from labutils.data.splits import assert_disjoint
from labutils.data.stapler import read_masks
from labutils.data.twins import TWINS, deal, make_twin, or_twin
from labutils.metrics.overlap import pairwise_dice, self_iou
from tests.data.twin_folders import CASES, cases_of, twin_folder

# prepared from a twin of DICOM files, or read from the files of digit-annotators
BY_ANOTHER = {"lidc-crops-hu", "digits-exact", "digits-noisy", "digits-bad"}
ALL = [(name, form) for name, forms in TWINS.items() for form in forms if name in catalog.names()]
STORES = [one for one in ALL if one[0] != "stapler-lesions"]  # that has masks and no image


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns the folder of a twin, made once."""
    return partial(twin_folder, tmp_path_factory.mktemp("twins"))


def ids(pairs):
    return ["-".join(filter(None, one)) for one in pairs]


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_every_dataset_of_files_has_a_twin():
    of_files = {name for name in catalog.names() if catalog.dataset(name).folders}
    assert of_files - BY_ANOTHER == set(TWINS) - {"lidc-dicom"}


@pytest.mark.parametrize(("name", "form"), STORES, ids=ids(STORES))
def test_a_twin_is_read_by_the_reader_of_its_original(made, name, form):
    folder = made(name, form)
    stores = {split: catalog.load(name, split, root=folder) for split in catalog.available(name, folder)}
    record = json.loads((folder / TWIN_FILE).read_text())
    assert sum(map(len, stores.values())) == sum(record["cases"].values()) == cases_of(name)
    for store in stores.values():
        assert store.source == "twin"
        assert store.labeled
        assert 0 <= store.image.min() < store.image.max() <= 1
        assert store.masks.any()
        assert store.image.std(axis=(1, 2, 3)).min() > 0
    assert_disjoint(stores)


@pytest.mark.parametrize(("name", "form"), ALL, ids=ids(ALL))
def test_equal_requests_give_equal_bytes_and_another_seed_other_ones(tmp_path, made, name, form):
    for seed in (0, 1):
        make_twin(name, tmp_path / str(seed), cases=cases_of(name), seed=seed, form=form)
    assert contents(tmp_path / "0") == contents(made(name, form))
    other = {path: content for path, content in contents(tmp_path / "1").items() if path != TWIN_FILE}
    assert other.items() - contents(tmp_path / "0").items()


def test_what_is_prepared_from_a_twin_of_dicom_files_is_a_twin(tmp_path):
    assert make_twin("lidc-dicom", tmp_path / "dicom", cases=3) == {"scans": 3}
    report = prepare_lidc(tmp_path / "dicom", tmp_path / "lidc", PrepareConfig(forms=("crops",)))
    assert all(report.forms["crops"].images.values())
    for name in ("lidc-crops", "lidc-crops-hu"):
        for split in ("train", "validate", "test"):
            assert catalog.load(name, split, root=tmp_path / "lidc").source == "twin"


def test_the_first_form_is_written_where_none_is_named(tmp_path, made):
    make_twin("lidc-four", tmp_path / "four", cases=CASES)
    assert contents(tmp_path / "four") == contents(made("lidc-four", "crops"))


def test_without_its_mark_a_folder_is_taken_for_the_original(tmp_path):
    make_twin("digit-annotators", tmp_path / "twin", cases=CASES)
    sources = [catalog.load("digit-annotators", "train", root=tmp_path / "twin").source]
    (tmp_path / "twin" / TWIN_FILE).unlink()
    sources.append(catalog.load("digit-annotators", "train", root=tmp_path / "twin").source)
    assert sources == ["twin", "your copy"]


def test_lidc_crops_have_two_to_four_raters_and_their_consensus(made):
    folder = made("lidc-crops")
    train = catalog.load("lidc-crops", "train", root=folder)
    assert set(train.present.sum(axis=1)) == {2, 3, 4}
    assert train.image.shape[1:] == (1, 64, 64)
    areas = {path.stem: int(tifffile.imread(path).sum()) for path in folder.glob("*/masks/GT/*.tif")}
    assert set(areas) == set(train.cases) | set(catalog.load("lidc-crops", "validate", root=folder).cases)
    assert 31 <= min(areas.values()) <= max(areas.values()) <= 799
    rows = {(row.patient, row.nodule): row for row in read_metadata(folder)}
    for stem, area in areas.items():
        patient, nodule = re.fullmatch(r"pid_(\d+)_nod_(\d+)_slice_\d+", stem).groups()
        assert area in rows[f"LIDC-IDRI-{patient}", int(nodule)].areas_px
    assert sum(len(row.areas_px) for row in rows.values()) == len(areas)
    assert all(1 <= value <= 6 for row in rows.values() for value in row.ratings.values())


def test_crops_of_four_raters_have_empty_masks_and_real_places(made):
    store = catalog.load("lidc-four", "train", root=made("lidc-four", "crops"))
    assert store.image.shape[1:] == (1, 180, 180)
    drawn = store.masks.any(axis=(2, 3)).sum(axis=1)
    assert {1, 4} <= set(drawn.tolist()) <= {1, 2, 3, 4}
    assert all(re.fullmatch(r"LIDC-IDRI-\d{4}_z--?\d+(\.\d+)?_c\d+", case) for case in store.cases)


def test_a_twin_may_have_more_patients_than_a_published_split(made, monkeypatch):
    monkeypatch.setitem(catalog.dataset("lidc-four").load.__globals__["EXPECTED"], "train", (99, 1))
    assert len(catalog.load("lidc-four", "train", root=made("lidc-four", "crops"))) > 1


def test_slices_of_four_raters_are_jpeg_of_nobody(made):
    store = catalog.load("lidc-four", "train", root=made("lidc-four", "slices"))
    assert store.image.shape == (CASES, 1, 128, 128)
    assert set(store.patients) == {UNKNOWN}
    assert store.cases[:2] == ("0_image_1", "1_image_2")


def test_published_digits_wrap_their_noise_and_repeat_over(made):
    folder = made("mnist-annotators")
    store = catalog.load("mnist-annotators", "train", root=folder)
    away = store.masks[:, 1] == 0  # of the ink and a little around it
    assert (store.image[:, 0][away] > 0.4).mean() > 0.25
    assert np.array_equal(store.truth, store.masks[:, 0])
    for path in (folder / "train" / "All").iterdir():
        assert path.read_bytes() == (folder / "train" / "Over" / path.name).read_bytes()
    assert not (folder / "validate" / "All").exists()


def test_digits_are_in_the_files_of_mnist_with_their_labels(made):
    folder = made("digit-annotators")
    for part in ("train", "t10k"):
        images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", 3)
        labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", 1)
        assert len(images) == len(labels)
        assert images.shape[1:] == (28, 28)
        assert images.max() == 255
    assert set(labels) <= set(range(10))
    assert catalog.load("digit-annotators", "train", root=folder).present.shape[1] == len(ANNOTATORS)


@pytest.mark.parametrize(("name", "size"), [("bubil-crowd-4", (1030, 1300)), ("bubil-crowd-6", (512, 512))])
def test_crowd_crops_differ_in_size_and_gold_is_in_the_frame(made, name, size):
    folder = made(name)
    (root,) = folder.glob("BU-BIL_Dataset*")
    crops = {path.stem: read_gray(path).shape for path in (root / "RawImages").iterdir()}
    assert len(set(crops.values())) > 5
    masks = list(root.glob("CrowdsourcedAnnotations/*/*.png"))
    assert len(masks) == 7 * CASES
    for path in masks:
        assert read_gray(path, opaque=True).shape == crops[path.stem.removeprefix("seg_")]
    for path in (root / "GoldStandard").iterdir():
        gold = read_mask(path)
        assert gold.shape == size
        crop = crops[{stem.lower(): stem for stem in crops}[path.stem.removeprefix("seg_")]]
        box = [np.ptp(places) + 1 for places in np.nonzero(gold)]
        assert all(1.8 < around / inside < 2.2 for around, inside in zip(crop, box, strict=True))


def test_cells_come_back_and_vessels_run_through_slices(made):
    lapse = [
        catalog.load("bubil-crowd-4", split, root=made("bubil-crowd-4")) for split in ("train", "validate", "test")
    ]
    seen = Counter(patient for store in lapse for patient in store.patients)
    assert len(seen) == 14  # every third of 40
    assert max(seen.values()) > 5
    slices = catalog.load("bubil-crowd-6", "train", root=made("bubil-crowd-6"))
    assert slices.patients == ("TPre01",) * 25 + ("TPre26",) * 15


def test_one_person_drew_the_gold_standard_and_one_image_is_larger(made):
    root = made("bubil-experts") / "BU-BIL_Dataset1"
    for gold in (root / "GoldStandard").iterdir():
        for tool in ("Amira", "ImageJ"):
            assert np.array_equal(read_mask(root / f"ExpertsAnnotations/Person2_{tool}" / gold.name), read_mask(gold))
    sizes = Counter(read_gray(path).shape for path in (root / "RawImages").iterdir())
    assert sizes == {(811, 1024): 7, (1030, 1300): 1}


def mean_iou(stores):
    """(R, R), the mean over all images."""
    masks = torch.cat([torch.from_numpy(np.array(store.masks)) == 1 for store in stores])
    return self_iou(masks).mean(dim=0)


def test_people_differ_as_real_ones_do_and_hardly_less_from_themselves(made):
    folder = made("bubil-experts")
    mean = mean_iou(catalog.load("bubil-experts", split, root=folder) for split in ("train", "validate", "test"))
    one, two = np.tril_indices(8, -1)
    same = one // 2 == two // 2  # two tools of one person
    assert mean[one[~same], two[~same]].mean() == pytest.approx(0.737, abs=0.03)
    assert mean[one[same], two[same]].mean() == pytest.approx(0.741, abs=0.03)


@pytest.mark.parametrize(("name", "expected"), [("bubil-crowd-4", 0.795), ("bubil-crowd-6", 0.727)])
def test_crowd_workers_differ_as_real_ones_do(made, name, expected):
    mean = mean_iou(catalog.load(name, split, root=made(name)) for split in catalog.available(name, made(name)))
    assert mean[np.tril_indices(7, -1)].mean() == pytest.approx(expected, abs=0.03)


def test_readers_of_lesions_differ_as_real_ones_do_and_the_second_is_flipped(made):
    folder = made("stapler-lesions")
    with pytest.raises(DataError, match="no image"):
        catalog.load("stapler-lesions", "all", root=folder)
    readings = {turned: read_masks(folder, turn_reader_2=turned) for turned in (False, True)}
    assert (readings[True].masks.shape, readings[True].spacing_mm) == ((3, 72, 256, 256), (1.0, 1.0, 1.0))
    masks = {turned: torch.from_numpy(one.masks)[None] == 1 for turned, one in readings.items()}
    dice = {turned: pairwise_dice(one, one)[0] for turned, one in masks.items()}
    found = [dice[True][pair].item() for pair in ((0, 1), (0, 2), (1, 2))]
    assert found == pytest.approx((0.748, 0.819, 0.736), abs=0.03)
    assert max(dice[False][0, 1], dice[False][1, 2]) < 0.1
    odd = odd_raters(masks[False][0])
    assert (odd.odd.tolist(), odd.remedies[1].flipped) == ([False, True, False], (0, 1))


@pytest.mark.parametrize(
    ("cases", "original", "expected"),
    [
        (100, {"a": 570, "b": 114}, {"a": 83, "b": 17}),
        (2, {"a": 570, "b": 114}, {"a": 1, "b": 1}),
        (3, {"a": 8, "b": 1, "c": 1}, {"a": 1, "b": 1, "c": 1}),
        (4, {"a": 1, "b": 100, "c": 100}, {"a": 1, "b": 2, "c": 1}),
        (7, {"a": 19}, {"a": 7}),
    ],
)
def test_cases_are_dealt_in_the_shares_of_the_original(cases, original, expected):
    assert deal(cases, original) == expected


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("lidc-raters", {}, "twin is 'lidc-raters'; wanted one of"),
        ("lidc-four", {"form": "slice"}, "form of lidc-four is 'slice'; wanted one of 'crops', 'slices'"),
        ("lidc-four", {"cases": 2}, "cases is 2; wanted 3 or more"),
        ("mnist-annotators", {"cases": 1798}, "a twin can have 1797 digits; wanted 1798"),
        ("digit-annotators", {"cases": 2000}, "a twin can have 1797 digits; wanted 2000"),
        ("bubil-crowd-4", {"cases": 325}, "a twin can have 324 images; wanted 325"),
        ("stapler-lesions", {"cases": 2}, "a twin can have 1 volume; wanted 2"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(tmp_path, name, settings, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        make_twin(name, tmp_path / "twin", **settings)
    assert os.listdir(tmp_path) == []


def test_more_cases_than_nodules_are_refused(tmp_path, monkeypatch):
    few = [one for _, one in zip(range(3), twins.twin_lidc.planned_cases("train", LidcRatersConfig()), strict=False)]
    monkeypatch.setattr(twins.twin_lidc, "planned_cases", lambda *_: iter(few))
    for name, form in (("lidc-crops", ""), ("lidc-four", "crops"), ("lidc-four", "slices")):
        with pytest.raises(ConfigError, match=r"a twin can have \d cases of the split 'train'; wanted"):
            make_twin(name, tmp_path / "twin", cases=CASES, form=form)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "twin").mkdir()
    with pytest.raises(DataError, match="twin exists already"):
        make_twin("digit-annotators", tmp_path / "twin", cases=10)
    assert os.listdir(tmp_path / "twin") == []


def test_where_there_is_no_copy_there_is_the_twin_and_it_is_written_once(tmp_path, monkeypatch):
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))
    first = or_twin("mnist-annotators", "validate", limit=3)
    assert (len(first), first.source) == (3, "twin")
    monkeypatch.setattr(twins, "make_twin", None)  # not called again
    assert or_twin("mnist-annotators", "validate", limit=3).manifest == first.manifest


def test_a_copy_comes_before_the_twin(tmp_path, monkeypatch):
    make_twin("mnist-annotators", tmp_path / "mnist_examples", cases=10, seed=5)
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path / "mnist_examples"))
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))
    own = catalog.load("mnist-annotators", "train", root=tmp_path / "mnist_examples")
    assert or_twin("mnist-annotators", "train").manifest == own.manifest
    assert not (tmp_path / "cache" / "twins").exists()


def test_a_twin_that_another_process_wrote_meanwhile_is_taken(tmp_path, monkeypatch):
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))

    def slower(name, folder):
        make_twin(name, folder, cases=10)
        raise DataError(f"{folder} exists already")

    monkeypatch.setattr(twins, "make_twin", slower)
    assert len(or_twin("mnist-annotators", "train")) > 0
    monkeypatch.setattr(twins, "make_twin", lambda *_: (_ for _ in ()).throw(DataError("no package")))
    with pytest.raises(DataError, match="no package"):
        or_twin("lidc-four", "train")


def test_a_twin_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    def full(path, *_):
        if path.name.startswith("5_"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(twins.twin_digits, "write_tiff", full)
    with pytest.raises(OSError, match="No space left"):
        make_twin("mnist-annotators", tmp_path / "twin", cases=40)
    assert os.listdir(tmp_path) == []
