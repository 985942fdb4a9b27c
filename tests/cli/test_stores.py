"""Who learns and who validates: never the same patient."""

import shutil

import pytest

from labutils.cli.stores import counted, hold_out, training_stores
from labutils.core.checks import DataError
from tests.cli.asking import write_crops
from tests.discs import disc_store


def test_splits_with_files_are_taken_as_they_are(crops):
    stores = training_stores("lidc-crops", crops, None)
    assert (len(stores.train), len(stores.validate)) == (12, 6)
    assert [store.split for store in stores] == ["train", "validate"]
    assert counted(stores.train) == "12 cases of 6 patients from lidc-crops/train"


def test_the_limit_holds_for_each_split(crops):
    assert [len(store) for store in training_stores("lidc-crops", crops, 3)] == [3, 3]


@pytest.mark.parametrize("left", ["nothing", "images"])
def test_without_masks_to_validate_on_patients_are_held_out(tmp_path, left):
    root = write_crops(tmp_path / "crops", train=range(1, 7), validate=[11])
    shutil.rmtree(root / "validate" / ("masks" if left == "images" else ""))
    train, validate = training_stores("lidc-crops", root, None)
    assert len(train) + len(validate) == 12
    assert len(set(validate.patients)) == 2
    assert not set(train.patients) & set(validate.patients)
    again = training_stores("lidc-crops", root, None)
    assert again.validate.cases == validate.cases
    assert [store.split for store in again] == ["train, patients not held out", "train, patients held out"]


def test_a_patient_in_both_splits_is_refused(tmp_path):
    root = write_crops(tmp_path / "crops", train=[1, 2], validate=[2, 3])
    with pytest.raises(DataError, match="patient 'LIDC-IDRI-0002' is in both train and validate"):
        training_stores("lidc-crops", root, None)


def test_a_validate_split_that_is_damaged_is_not_passed_over(tmp_path):
    root = write_crops(tmp_path / "crops", train=[1, 2], validate=[3])
    next((root / "validate" / "scans").glob("*.tif")).write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read as TIFF"):
        training_stores("lidc-crops", root, None)


def test_one_patient_alone_cannot_be_held_out():
    with pytest.raises(DataError, match="one patient only"):
        hold_out(disc_store(2))


def test_images_alone_teach_nothing(tmp_path):
    root = write_crops(tmp_path / "crops", train=[1])
    shutil.rmtree(root / "train" / "masks")
    with pytest.raises(DataError, match="no masks to learn from"):
        training_stores("lidc-crops", root, None)
