import cv2
import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.data.pictures import read_gray, require_two_tone, write_gray
from tests.data import bubil_tree


def picture(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def save(path, array):
    assert cv2.imwrite(str(path), array)
    return path


def test_png_is_read_exactly(tmp_path):
    gray = picture(5, 7)
    read = read_gray(save(tmp_path / "a.png", gray))
    assert (read.dtype, read.shape) == (np.uint8, (5, 7))
    np.testing.assert_array_equal(read, gray)


def test_jpeg_is_read_up_to_its_loss(tmp_path):
    read = read_gray(save(tmp_path / "a.jpg", np.full((16, 8), 200, np.uint8)))
    assert read.shape == (16, 8)
    assert np.abs(read.astype(int) - 200).max() <= 2


def test_three_equal_channels_are_gray(tmp_path):
    gray = picture(4, 3)
    np.testing.assert_array_equal(read_gray(save(tmp_path / "a.png", np.dstack([gray] * 3))), gray)


def test_padding_after_the_end_is_passed_over(tmp_path):
    path = save(tmp_path / "a.jpg", np.full((8, 8), 9, np.uint8))
    path.write_bytes(path.read_bytes() + bytes(16))
    assert read_gray(path).shape == (8, 8)


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, ending, kept):
    path = save(tmp_path / f"a.{ending}", picture(40, 50))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"a\.{ending} is cut short; wanted the whole file"):
        read_gray(path)


def test_damage_in_the_middle_of_png_is_refused(tmp_path):
    path = save(tmp_path / "a.png", picture(40, 50))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png is damaged and cannot be decoded"):
        read_gray(path)


def test_a_header_that_claims_too_many_pixels_is_refused(tmp_path):
    path = save(tmp_path / "a.png", picture(4, 5))
    content = path.read_bytes()
    path.write_bytes(content[:16] + b"\x7f\xff\xff\xff" + content[20:])
    with pytest.raises(DataError, match=r"a\.png is damaged"):
        read_gray(path)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (picture(4, 5, dtype=np.uint16), "holds uint16; wanted 8 bits a pixel"),
        (picture(4, 5, 3), "holds colors; wanted one channel"),
        (picture(4, 5, 4), "has 4 channels; wanted one"),
    ],
)
def test_pictures_of_another_kind_are_refused(tmp_path, array, text):
    with pytest.raises(DataError, match=rf"a\.png {text}"):
        read_gray(save(tmp_path / "a.png", array))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"version https://git-lfs.github.com/spec/v1\n"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is neither PNG nor JPEG"):
        read_gray(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png cannot be read: No such file"):
        read_gray(tmp_path / "gone.png")


@pytest.mark.parametrize("kind", ["palette", "1 bit", "rgb"])
def test_grays_are_read_however_they_are_stored(tmp_path, kind):
    gray = np.array([[0, 255, 0], [255, 255, 0]], np.uint8)
    np.testing.assert_array_equal(read_gray(bubil_tree.save(tmp_path / "a.png", gray, kind)), gray)


def test_an_opaque_alpha_is_taken_where_it_is_allowed(tmp_path):
    gray = picture(4, 3)
    path = bubil_tree.save(tmp_path / "a.png", gray, "rgba")
    np.testing.assert_array_equal(read_gray(path, opaque=True), gray)
    with pytest.raises(DataError, match="has 4 channels; wanted one"):
        read_gray(path)


def test_transparency_and_colors_are_refused_everywhere(tmp_path):
    layers = np.dstack([picture(4, 5)] * 3 + [np.full((4, 5), 255, np.uint8)])
    layers[1, 2, 3] = 254
    with pytest.raises(DataError, match=r"a\.png is transparent in places"):
        read_gray(save(tmp_path / "a.png", layers), opaque=True)
    layers[1, 2] = (1, 2, 3, 255)
    with pytest.raises(DataError, match=r"a\.png holds colors"):
        read_gray(save(tmp_path / "a.png", layers), opaque=True)


@pytest.mark.parametrize(("slack", "wanted"), [(0, "0 and 255"), (10, "0 to 10 and 245 to 255")])
def test_a_mask_has_two_tones(tmp_path, slack, wanted):
    gray = np.array([[0, slack, 255 - slack, 255]], np.uint8)
    require_two_tone(tmp_path / "a.png", gray, slack)
    with pytest.raises(DataError, match=rf"a\.png holds the gray value {slack + 1}; wanted a mask, {wanted} only"):
        require_two_tone(tmp_path / "a.png", gray + np.array([0, 1, 0, 0], np.uint8), slack)


def test_a_picture_is_written_in_silence_and_comes_back(tmp_path, capfd):
    gray, mask = picture(20, 30), np.zeros((32, 32), np.uint8)
    mask[5:20, 9:23] = 255
    write_gray(tmp_path / "deep" / "a.png", gray)
    write_gray(tmp_path / "a.jpg", mask)
    np.testing.assert_array_equal(read_gray(tmp_path / "deep" / "a.png"), gray)
    read = read_gray(tmp_path / "a.jpg")
    assert np.abs(read.astype(int) - mask).max() <= 10
    assert capfd.readouterr() == ("", "")
