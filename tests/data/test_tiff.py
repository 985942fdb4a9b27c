import contextlib

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import DataError
from labutils.data.tiff import read_tiff, read_tiff_picture, write_tiff
from tests.errors_behind import errors_behind


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


PICTURES = [(dtype, shape) for dtype in ("uint8", "uint16", "float32") for shape in ((7, 9), (7, 9, 3))]


def drawn(dtype, shape):
    return (np.random.default_rng(0).random(shape) * 200).astype(dtype)


@pytest.mark.parametrize(("dtype", "shape"), PICTURES)
@pytest.mark.parametrize("more", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_pictures_come_back_as_stored(tmp_path, dtype, shape, more):
    picture = drawn(dtype, shape)
    photometric = "rgb" if len(shape) == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric=photometric, **more)
    read = read_tiff_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(read, picture)
    assert read.dtype == picture.dtype


@pytest.mark.parametrize("ones", [(1,), (1, 1)])
def test_axes_of_size_1_before_the_rows_are_left_out(tmp_path, ones):
    picture = drawn("float32", (7, 9))
    write_tiff(tmp_path / "a.tif", picture.reshape(*ones, 7, 9))
    np.testing.assert_array_equal(read_tiff_picture(tmp_path / "a.tif"), picture)


def test_channels_in_planes_are_turned(tmp_path):
    picture = drawn("uint8", (3, 7, 9))
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_tiff_picture(tmp_path / "a.tif"), picture.transpose(1, 2, 0))


def lzw(path, picture):
    assert cv2.imwrite(str(path), picture if picture.ndim == 2 else picture[..., ::-1])
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].compression.name == "LZW"
    return path


@pytest.mark.parametrize(("dtype", "shape"), PICTURES[:4])
def test_pictures_that_opencv_compressed_come_back(tmp_path, dtype, shape):
    picture = drawn(dtype, shape)
    np.testing.assert_array_equal(read_tiff_picture(lzw(tmp_path / "a.tif", picture)), picture)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.99])
def test_a_compressed_picture_cut_anywhere_is_refused(tmp_path, share):
    path = lzw(tmp_path / "a.tif", drawn("uint8", (200, 200)))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"a\.tif (is damaged or no TIFF file; wanted|cannot be read)") as refusal:
        read_tiff_picture(path)
    assert errors_behind(refusal.value) == []


def test_a_picture_compressed_in_another_way_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("labutils.data.tiff.COMPRESSIONS", ("NONE",))
    tifffile.imwrite(tmp_path / "a.tif", drawn("uint8", (7, 9)), compression="zlib")
    with pytest.raises(DataError, match=r"compressed with ADOBE_DEFLATE, which is not read; wanted no compression"):
        read_tiff_picture(tmp_path / "a.tif")


def test_a_turned_picture_that_opencv_would_turn_is_refused(tmp_path):
    path = lzw(tmp_path / "a.tif", drawn("uint8", (7, 9)))
    content = bytearray(path.read_bytes())
    place = content.index(bytes([0x15, 1, 3, 0]))  # samples per pixel, which is 1 for gray, becomes the orientation
    content[place : place + 12] = bytes([0x12, 1, 3, 0, 1, 0, 0, 0, 3, 0, 0, 0])
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tif is an unusual picture compressed with LZW"):
        read_tiff_picture(path)


def test_a_claim_of_too_many_values_is_refused_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr("labutils.data.tiff.MAX_VALUES", 62)
    tifffile.imwrite(tmp_path / "a.tif", drawn("uint8", (7, 9)))
    with pytest.raises(DataError, match=r"a\.tif claims \(7, 9\); wanted 62 values at most"):
        read_tiff_picture(tmp_path / "a.tif")
