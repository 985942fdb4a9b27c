import pydicom
import pytest

from labutils.core.checks import DataError
from labutils.data.dicom import read_series
from labutils.data.dicom_twin import write_scan
from tests.data.conftest import LIDC_SCANS

SCAN = LIDC_SCANS[0]


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("one"), SCAN, seed=3)


def test_the_twin_has_the_ids_and_the_slices_of_the_original(series):
    assert series.parts[-3] == "LIDC-IDRI-0957"
    read = read_series(series)
    assert len(read.files) == 65
    assert read.size == (512, 512)
    assert read.pixel_mm == (0.7734375, 0.7734375)
    one = pydicom.dcmread(read.files[0])
    assert one.SeriesInstanceUID == series.name
    assert one.StudyInstanceUID == series.parent.name


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(series, tmp_path):
    again, other = write_scan(tmp_path / "same", SCAN, seed=3), write_scan(tmp_path / "other", SCAN, seed=4)
    names = sorted(path.name for path in series.glob("*.dcm"))
    assert (series / "TWIN.json").is_file()
    assert [(again / name).read_bytes() for name in names] == [(series / name).read_bytes() for name in names]
    assert all((other / name).read_bytes() != (series / name).read_bytes() for name in names)


def test_an_existing_series_and_an_unknown_scan_are_refused(series):
    with pytest.raises(DataError, match="exists; wanted a new folder"):
        write_scan(series.parents[2], SCAN)
    with pytest.raises(DataError, match="no scan 0"):
        write_scan(series.parents[2], 0)
