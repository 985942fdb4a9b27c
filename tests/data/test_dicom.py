"""A series is read as it was written, and every damaged one is refused with a sentence that names the file."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom.config import disable_value_validation
from pydicom.uid import JPEG2000, RLELossless

from labutils.core.checks import DataError
from labutils.data.dicom import find_series, read_series
from labutils.data.dicom_header import MAX_SIDE
from tests.data.dicom_files import GONE, SERIES, hu_of, write_series, write_slice
from tests.errors_behind import errors_behind


@pytest.fixture
def folder(tmp_path):
    write_series(tmp_path / "series")
    return tmp_path / "series"


def test_a_series_is_read_as_it_was_written(folder):
    series = read_series(folder)
    assert [path.name for path in series.files] == ["0.dcm", "1.dcm", "2.dcm", "3.dcm"]
    assert series.size == (6, 5)
    assert series.pixel_mm == (0.7, 0.7)
    np.testing.assert_array_equal(series.positions_mm, [-7, -4.5, -2, 0.5])
    np.testing.assert_array_equal(series.locations_mm, series.positions_mm)
    for number in range(4):
        hu = series.slice_hu(number)
        assert hu.dtype == np.float32
        np.testing.assert_array_equal(hu, hu_of(number))


def test_the_order_of_the_files_does_not_matter(tmp_path):
    for number in range(4):
        tmp_path.joinpath("reversed").mkdir(exist_ok=True)
        write_slice(tmp_path / "reversed" / f"{9 - number}.dcm", number)
    series = read_series(tmp_path / "reversed")
    assert (np.diff(series.positions_mm) > 0).all()
    np.testing.assert_array_equal(series.slice_hu(0), hu_of(0))


def test_slope_and_intercept_are_those_of_each_slice(tmp_path):
    write_slice(tmp_path / "a.dcm", 0, RescaleSlope="2", RescaleIntercept="-100.5")
    write_slice(tmp_path / "b.dcm", 1)
    series = read_series(tmp_path)
    np.testing.assert_array_equal(series.slice_hu(0), 2 * (hu_of(0) + 1024) - 100.5)
    np.testing.assert_array_equal(series.slice_hu(1), hu_of(1))


def test_signed_pixels_are_read_as_signed(tmp_path):
    pixels = hu_of(0).astype("<i2").tobytes()
    write_slice(tmp_path / "a.dcm", 0, PixelRepresentation=1, RescaleIntercept="0", PixelData=pixels)
    np.testing.assert_array_equal(read_series(tmp_path).slice_hu(0), hu_of(0))


def test_files_without_an_ending_count_and_other_files_do_not(folder):
    os.rename(folder / "0.dcm", folder / "I0001")
    (folder / "notes.txt").write_text("a note")
    (folder / ".hidden.dcm").write_bytes(b"nothing")
    (folder / "069.xml").write_text("<xml/>")
    assert len(read_series(folder).files) == 4


def test_a_missing_slice_location_is_nan(tmp_path):
    write_series(tmp_path, 2, SliceLocation=GONE)
    assert np.isnan(read_series(tmp_path).locations_mm).all()


def test_of_two_slices_at_one_place_the_lower_instance_stays_on_request(folder):
    write_slice(folder / "again.dcm", 2, InstanceNumber=99, RescaleIntercept="0")
    series = read_series(folder, duplicates="first-instance")
    assert series.duplicates == 1
    assert series.files[2].name == "2.dcm"
    write_slice(folder / "2.dcm", 2, InstanceNumber=100)
    assert read_series(folder, duplicates="first-instance").files[2].name == "again.dcm"


IDENTICAL = {"InstanceNumber": 2}
CHANGES = {  # of one slice of four: its tags, and what the sentence says
    "no spacing": ({"PixelSpacing": GONE}, "has no PixelSpacing"),
    "zero spacing": ({"PixelSpacing": ["0", "0.7"]}, "wanted two positive sizes"),
    "negative spacing": ({"PixelSpacing": ["0.7", "-0.7"]}, "wanted two positive sizes"),
    "infinite spacing": ({"PixelSpacing": ["inf", "0.7"]}, "not 2 finite numbers"),
    "three spacings": ({"PixelSpacing": ["0.7", "0.7", "2"]}, "not 2 finite numbers"),
    "another spacing": ({"PixelSpacing": ["0.7", "0.75"]}, "mm a pixel and 0.dcm"),
    "no position": ({"ImagePositionPatient": GONE}, "has no ImagePositionPatient"),
    "half a position": ({"ImagePositionPatient": ["1", "2"]}, "not 3 finite numbers"),
    "another corner": ({"ImagePositionPatient": ["-10", "-21", "-4.5"]}, "as its corner"),
    "no orientation": ({"ImageOrientationPatient": GONE}, "has no ImageOrientationPatient"),
    "coronal": ({"ImageOrientationPatient": ["1", "0", "0", "0", "0", "-1"]}, "not an axial slice"),
    "tilted": ({"ImageOrientationPatient": ["1", "0", "0", "0", "0.995", "0.0998"]}, "not an axial slice"),
    "no direction": ({"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]}, "not an axial slice"),
    "same place": ({"ImagePositionPatient": ["-10", "-20.5", "-7"]}, "lie at the same z = -7 mm"),
    "another series": ({"SeriesInstanceUID": "1.2.3.5"}, "of another series than 0.dcm"),
    "another size": ({"Rows": 5, "Columns": 6}, r"\(5, 6\) pixels and 0.dcm \(6, 5\)"),
    "colors": ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "holds colors or inverted gray"),
    "inverted": ({"PhotometricInterpretation": "MONOCHROME1"}, "holds colors or inverted gray"),
    "many frames": ({"NumberOfFrames": "4"}, "holds 4 frames"),
    "not CT": ({"Modality": "MR"}, "is not CT"),
    "no modality": ({"Modality": GONE}, "is not CT"),
    "no slope": ({"RescaleSlope": GONE}, "has no RescaleSlope"),
    "no intercept": ({"RescaleIntercept": GONE}, "has no RescaleIntercept"),
    "a claim of gigabytes": ({"Rows": 65535, "Columns": 65535}, f"wanted 1 to {MAX_SIDE} a side"),
    "no row": ({"Rows": 0}, "claims 0 x 5 pixels"),
    "rows not said": ({"Rows": GONE}, "has no Rows"),
    "cut pixels": ({"Rows": 60, "Columns": 50}, "is cut short"),
}


@pytest.mark.parametrize(("tags", "text"), CHANGES.values(), ids=CHANGES.keys())
def test_a_slice_that_does_not_fit_is_refused(folder, tags, text):
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        write_slice(folder / "1.dcm", 1, **tags)
    with pytest.raises(DataError, match=text) as refusal:
        read_series(folder)
    assert str(folder / "1.dcm") in str(refusal.value)


def test_words_in_the_place_of_numbers_are_refused_and_not_repeated(folder):
    content = (folder / "1.dcm").read_bytes()
    (folder / "1.dcm").write_bytes(content.replace(b"0.7\\0.7 ", b"PAT^JOHN"))
    with pytest.raises(DataError, match=r"1\.dcm") as refusal:
        read_series(folder)
    assert "JOHN" not in str(refusal.value)
    assert errors_behind(refusal.value) == []


DAMAGE = {
    "empty": lambda content: b"",
    "no DICOM": lambda content: b"this is a text and no slice" * 9,
    "cut in its header": lambda content: content[:400],
    "cut before its pixels": lambda content: content[: content.index(b"\xe0\x7f\x10\x00")],
    "cut in its pixels": lambda content: content[:-20],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_refused(folder, damage):
    path = folder / "1.dcm"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"1\.dcm") as refusal:
        read_series(folder).slice_hu(1)
    assert errors_behind(refusal.value) == []


@pytest.mark.parametrize("syntax", [JPEG2000, RLELossless])
def test_pixels_that_cannot_be_decoded_are_refused(folder, syntax):
    from pydicom.encaps import encapsulate

    write_slice(folder / "1.dcm", 1, syntax=syntax, PixelData=encapsulate([b"\x00" * 8]))
    series = read_series(folder)
    with pytest.raises(DataError, match=r"1\.dcm cannot be decoded .*wanted a whole file") as refusal:
        series.slice_hu(1)
    assert errors_behind(refusal.value) == []
    np.testing.assert_array_equal(series.slice_hu(0), hu_of(0))


def test_a_folder_without_slices_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no DICOM file"):
        read_series(tmp_path)


def dicomdir(path: Path, leads_to: str) -> None:
    """A directory of files that names a file elsewhere."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence
    from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

    record = Dataset()
    record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", leads_to.split("/")
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    one.file_meta.MediaStorageSOPInstanceUID, one.file_meta.TransferSyntaxUID = "1.2.3", ExplicitVRLittleEndian
    one.DirectoryRecordSequence = Sequence([record])
    one.save_as(path, enforce_file_format=True)


def test_a_dicomdir_leads_nowhere(folder, tmp_path):
    write_slice(tmp_path / "outside.dcm", 7)
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        dicomdir(folder / "DICOMDIR", "../outside.dcm")
    assert len(read_series(folder).files) == 4
    for path in folder.glob("*.dcm"):
        path.unlink()
    with pytest.raises(DataError, match="holds a DICOMDIR and no slice"):
        read_series(folder)


def test_series_are_found_wherever_they_lie(tmp_path):
    write_series(tmp_path / "a" / "b")
    write_series(tmp_path / "c", SeriesInstanceUID="1.2.9")
    (tmp_path / "c" / "-.dcm").write_bytes(b"damaged, and first in the alphabet")
    os.symlink(tmp_path / "a", tmp_path / "a" / "b" / "loop")
    assert find_series(tmp_path) == {SERIES: [tmp_path / "a" / "b"], "1.2.9": [tmp_path / "c"]}


def test_a_linked_folder_is_followed(tmp_path):
    write_series(tmp_path / "store" / "one")
    (tmp_path / "root").mkdir()
    os.symlink(tmp_path / "store", tmp_path / "root" / "link")
    assert find_series(tmp_path / "root") == {SERIES: [tmp_path / "root" / "link" / "one"]}


@pytest.mark.parametrize("inside", ["", "missing"])
def test_a_folder_without_series_is_refused(tmp_path, inside):
    with pytest.raises(DataError, match="wanted"):
        find_series(tmp_path / inside)
