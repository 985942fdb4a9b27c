import contextlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import DataError
from labutils.data.tiff import read_tiff, write_tiff


@pytest.mark.parametrize("raters", [1, 2, 4, 300])
def test_the_rater_axis_comes_back(tmp_path, raters):
    masks = np.random.default_rng(raters).random((1, 5, 4, raters)) < 0.5
    tifffile.imwrite(tmp_path / "a.tif", masks)
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", "1HWR", "bu"), masks)


@pytest.mark.parametrize(("letters", "kinds"), [("1HWR", "bu"), ("HWC", "f")])
@pytest.mark.parametrize("last", [1, 2, 3, 4])
def test_what_is_written_comes_back_with_its_axes_and_type(tmp_path, letters, kinds, last):
    values = np.random.default_rng(last).random((1, 6, 5, last) if "1" in letters else (6, 5, last))
    array = values < 0.5 if "b" in kinds else values
    write_tiff(tmp_path / "deep" / "a.tif", array)
    read = read_tiff(tmp_path / "deep" / "a.tif", letters, kinds)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_a_file_that_holds_no_rater_is_refused(tmp_path, monkeypatch):
    class Series:
        shape, dtype = (1, 8, 6, 0), np.dtype(bool)

    class Tiff(contextlib.nullcontext):
        series = (Series,)

        def __enter__(self):
            return self

    # tifffile does not write such a file, so it is made to report one
    monkeypatch.setattr(tifffile, "TiffFile", Tiff)
    with pytest.raises(DataError, match=r"a\.tif has shape \(1, 8, 6, 0\); wanted \(1, H, W, R\), no axis empty"):
        read_tiff(tmp_path / "a.tif", "1HWR", "bu")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.tif cannot be read as TIFF"):
        read_tiff(tmp_path / "gone.tif", "1HW", "f")


def test_a_size_the_file_cannot_hold_is_refused_without_making_room(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((1, 8, 6), np.float32), metadata=None)
    data = bytearray(path.read_bytes())
    width, height = (data.index(bytes([tag & 255, tag >> 8, 4, 0, 1, 0, 0, 0])) + 8 for tag in (256, 257))
    data[width : width + 4] = data[height : height + 4] = (2**20).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.tif"):
        read_tiff(path, "1HW", "f")


@pytest.mark.parametrize("share", [0, 0.05, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_file_cut_anywhere_is_refused(tmp_path, share):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((1, 16, 16)))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match=r"a\.tif cannot be read as TIFF"):
        read_tiff(path, "1HW", "f")


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 299), st.integers(0, 255)), min_size=1, max_size=5))
def test_a_garbled_header_never_escapes_the_typed_error(tmp_path_factory, changes):
    path = tmp_path_factory.getbasetemp() / "garbled.tif"
    tifffile.imwrite(path, np.ones((1, 8, 8)))
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place] = value
    path.write_bytes(data)
    with contextlib.suppress(DataError):
        array = read_tiff(path, "1HW", "f")
        assert array.shape[0] == 1
        assert array.ndim == 3
