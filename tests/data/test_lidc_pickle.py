"""The published pickle becomes plain files that the reader of four-rater crops reads."""

import csv
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.core.files import read_json, write_json
from labutils.data import catalog, lidc_pickle
from labutils.data.lidc_pickle import convert_pickle
from tests.data.pickles import SIZE, assert_refused, crop, dump

FORMS = {
    "Python 2": {"protocol": 2, "python2": True},
    "NumPy 1, protocol 2": {"protocol": 2},
    "NumPy 1, protocol 3": {"protocol": 3},
    "NumPy 2, protocol 4": {"protocol": 4},
    "NumPy 2, protocol 5": {"protocol": 5},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_crops_come_through_whatever_wrote_the_pickle(tmp_path, pickled, series, form):
    path = dump(tmp_path / "crops.pickle", pickled, **FORMS[form])
    if form in ("Python 2", "NumPy 1, protocol 2"):
        assert b"numpy.core" in path.read_bytes()
        assert b"numpy._core" not in path.read_bytes()
    converted = convert_pickle(path, tmp_path / "out")
    assert converted == (4, False, 4, 3, {"train": 2, "validate": 1, "test": 1})
    store = catalog.load("lidc-four", "train", root=tmp_path / "out")
    patient, _ = series["train"]
    assert store.patients == (patient,) * 2
    assert store.cases == (f"{patient}_z-0_c0", f"{patient}_z-0_c1")
    assert store.image.shape == (2, 1, SIZE, SIZE)
    assert store.present.all()
    for i, name in enumerate(("a_slice2", "a_slice10")):  # by number, not by name
        np.testing.assert_allclose(store.image[i, 0], pickled[name]["image"], atol=1e-6)
        np.testing.assert_array_equal(store.masks[i], pickled[name]["masks"])
    for split in ("validate", "test"):
        assert set(catalog.load("lidc-four", split, root=tmp_path / "out").patients) == {series[split][0]}


def test_types_and_shapes_that_mean_the_same_give_the_same(tmp_path, pickled, series):
    uid = series["train"][1][0]
    variants = [
        crop(0, uid, dtype=np.float32, mask_dtype=bool),
        crop(0, uid, dtype=np.dtype(">f8"), mask_dtype=np.float64),
        crop(0, uid) | {"masks": np.stack(crop(0, uid)["masks"])},
        crop(0, uid) | {"image": np.asfortranarray(crop(0, uid)["image"]), "masks": tuple(crop(0, uid)["masks"])},
    ]
    manifests = []
    for i, one in enumerate([crop(0, uid), *variants]):
        convert_pickle(dump(tmp_path / "crops.pickle", {7: one}), tmp_path / str(i))
        manifests.append(catalog.load("lidc-four", "train", root=tmp_path / str(i)).manifest)
    assert len(set(manifests)) == 1


def test_gray_values_are_rounded_to_the_nearest_of_8_bits(tmp_path, series):
    patient, (uid, _) = series["train"]
    image = np.random.default_rng(0).random((SIZE, SIZE))
    convert_pickle(dump(tmp_path / "crops.pickle", {"a": crop(0, uid) | {"image": image}}), tmp_path / "out")
    picture = cv2.imread(str(tmp_path / "out" / "train" / "images" / patient / "z-0_c0.png"), cv2.IMREAD_UNCHANGED)
    assert picture.dtype == np.uint8
    assert np.abs(picture / 255 - image).max() <= 0.5 / 255 + 1e-12


def test_a_table_says_which_crop_became_which_image(tmp_path, pickled):
    convert_pickle(dump(tmp_path / "crops.pickle", pickled), tmp_path / "out")
    with open(tmp_path / "out" / "crops.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["crop"]: row["series_uid"] for row in rows} == {key: one["series_uid"] for key, one in pickled.items()}
    assert all((tmp_path / "out" / row["image"]).is_file() for row in rows)
    record = read_json(tmp_path / "out" / "preparation.json")
    assert record["splits"]["train"] == {"images": 2, "patients": 1}
    assert sorted(os.listdir(tmp_path / "out")) == ["crops.csv", "preparation.json", "test", "train", "val"]


def test_a_conversion_of_many_patients_is_not_taken_for_the_published_crops(tmp_path, pickled, monkeypatch):
    convert_pickle(dump(tmp_path / "crops.pickle", pickled), tmp_path / "out")
    monkeypatch.setitem(catalog.dataset("lidc-four").load.__globals__["EXPECTED"], "train", (99, 1))
    assert len(catalog.load("lidc-four", "train", root=tmp_path / "out")) == 2
    record = read_json(tmp_path / "out" / "preparation.json")
    record["splits"]["train"]["images"] = 3
    write_json(tmp_path / "out" / "preparation.json", record)
    with pytest.raises(DataError, match="holds 2 images of 1 patients; wanted 3 of 1"):
        catalog.load("lidc-four", "train", root=tmp_path / "out")
    write_json(tmp_path / "out" / "preparation.json", {})
    with pytest.raises(DataError, match=r"preparation\.json does not say what was prepared"):
        catalog.load("lidc-four", "train", root=tmp_path / "out")


def changed(**parts):
    return lambda one: one | parts


WRONG = {
    "no table": (lambda one: "crop", "crop 'a': wanted a table with image, masks and series_uid"),
    "no series": (lambda one: {"image": one["image"], "masks": one["masks"]}, "crop 'a': wanted a table"),
    "image of another size": (changed(image=np.zeros((SIZE, 64))), "image is no array of 128 x 128 values in"),
    "image in Hounsfield units": (changed(image=np.full((SIZE, SIZE), -800.0)), "image is no array of"),
    "image beyond 1": (changed(image=np.full((SIZE, SIZE), 1.01)), "image is no array of"),
    "image that is not a number": (changed(image=np.full((SIZE, SIZE), np.nan)), "image is no array of"),
    "image as a list": (changed(image=[[0.0] * SIZE] * SIZE), "image is no array of"),
    "three masks": (changed(masks=[np.zeros((SIZE, SIZE), np.uint8)] * 3), "wanted 4 masks of 128 x 128 pixels"),
    "five masks": (changed(masks=np.zeros((5, SIZE, SIZE))), "wanted 4 masks"),
    "masks of another size": (changed(masks=np.zeros((4, SIZE, 64))), "wanted 4 masks"),
    "masks of one axis": (changed(masks=[np.zeros(SIZE * SIZE)] * 4), "damaged|wanted 4 masks"),
    "mask of 0.5": (changed(masks=[np.full((SIZE, SIZE), 0.5)] * 4), "masks are no arrays of 0 and 1"),
    "mask of 255": (changed(masks=[np.full((SIZE, SIZE), 255, np.uint8)] * 4), "masks are no arrays of 0 and 1"),
    "masks as text": (changed(masks="none"), "masks are no arrays"),
    "series is a number": (changed(series_uid=1), "series_uid is 1"),
    "series of a path": (changed(series_uid="../../x"), "has the series '../../x'; wanted digits and dots"),
    "series of nobody": (changed(series_uid="1.2.3"), "the series 1.2.3 is not one of LIDC-IDRI"),
    "series that is too long": (changed(series_uid="1" * 300), "series_uid is '1111"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_crop_of_another_form_is_named(tmp_path, pickled, name):
    change, text = WRONG[name]
    path = dump(tmp_path / "crops.pickle", {"a": change(pickled["a_slice2"])})
    assert_refused(path, tmp_path, text)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((1, 2), "a crop is called 'tuple'; wanted text or a number"),
        ("x" * 300, "a crop is called 'xxx"),
        ("a\x1b[31m", "a name that cannot be printed"),
    ],
)
def test_a_name_that_is_no_name_is_refused(tmp_path, pickled, key, text):
    assert_refused(dump(tmp_path / "crops.pickle", {key: pickled["a_slice2"]}), tmp_path, text)


def test_names_that_become_equal_are_refused(tmp_path, pickled):
    path = dump(tmp_path / "crops.pickle", {1: pickled["a_slice2"], "1": pickled["a_slice10"]})
    assert_refused(path, tmp_path, r"crop \['1'\] occurs twice")


def test_one_crop_under_a_million_names_writes_nothing(tmp_path, pickled):
    path = dump(tmp_path / "crops.pickle", dict.fromkeys(range(1_000_000), pickled["a_slice2"]))
    assert path.stat().st_size < 10_000_000
    assert_refused(path, tmp_path, "it holds 1000000 crops; wanted 15096 at most")


def test_a_pickle_that_takes_too_long_is_stopped(tmp_path, pickled):
    path = dump(tmp_path / "crops.pickle", pickled)
    with pytest.raises(DataError, match=r"took more than 0\.001 s to read and was stopped"):
        convert_pickle(path, tmp_path / "out", timeout_s=0.001)
    assert os.listdir(tmp_path) == ["crops.pickle"]


def test_what_is_no_file_or_too_large_is_refused_before_it_is_opened(tmp_path, pickled, monkeypatch):
    assert_refused(tmp_path / "nowhere", tmp_path, "cannot be read: No such file")
    assert_refused(tmp_path, tmp_path, "is not a file")
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path / "pipe", tmp_path, "is not a file")
    monkeypatch.setattr(lidc_pickle, "LARGEST_BYTES", 10)
    assert_refused(dump(tmp_path / "crops.pickle", pickled), tmp_path, "bytes; wanted 10 at most")


def said_by_the_program(path, folder, **limits):
    """What the program that reads the pickle answers, run by itself."""
    task = {"file": str(path), "folder": str(folder), "size": SIZE, "raters": 4, "most": 9}
    task |= {"memory_bytes": 1 << 30, "file_bytes": 1 << 30, "seconds": 60} | limits
    command = [sys.executable, "-I", "-B", str(lidc_pickle.CHILD), json.dumps(task)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.parametrize("file_bytes", [100, 4096, SIZE**2 * 4 + 200])  # the ids, an image or a mask has no room
def test_a_full_disk_is_not_blamed_on_the_pickle(tmp_path, pickled, file_bytes):
    path = dump(tmp_path / "crops.pickle", pickled)
    said = said_by_the_program(path, tmp_path, file_bytes=file_bytes)
    assert said == {"fault": "what it holds cannot be written (File too large); is the disk full?"}
    assert said_by_the_program(path, tmp_path) == {"done": True}


@pytest.mark.parametrize(("file", "why"), [("/proc/self/mem", "Input/output error"), ("/none", "No such file or dir")])
def test_a_pickle_that_cannot_be_read_is_not_taken_for_a_full_disk(tmp_path, file, why):
    assert said_by_the_program(file, tmp_path)["fault"].startswith(f"it cannot be read: {why}")


def test_a_folder_that_exists_is_left_alone(tmp_path, pickled):
    path = dump(tmp_path / "crops.pickle", pickled)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="out exists already"):
        convert_pickle(path, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []
