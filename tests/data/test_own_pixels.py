"""One file of a person's own: what is no readable kind is told so, and which kinds there are."""

from __future__ import annotations

import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.data.own_files import ENDINGS
from labutils.data.own_pixels import KINDS, read_image, read_labels
from tests.own_folders import save

GRAY = np.arange(20, dtype=np.uint8).reshape(4, 5)


def test_every_ending_of_an_own_folder_is_among_the_kinds():
    assert [ending for ending in ENDINGS if ending not in KINDS] == []


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.bmp", "a.png.gz", "a"])
def test_a_whole_file_of_another_kind_is_refused_with_the_kinds_there_are(tmp_path, name):
    path = save(tmp_path / "a.jpg", GRAY).rename(tmp_path / name)
    wanted = f"{path} is a file of a kind that is not read; wanted {KINDS}"
    for read in (lambda: read_image(path, None), lambda: read_labels(path, 2)):
        with pytest.raises(DataError) as refusal:
            read()
        assert str(refusal.value) == wanted


@pytest.mark.parametrize("name", ["a.png", "a.PNG"])
def test_what_is_called_png_and_is_none_is_told_so(tmp_path, name):
    (tmp_path / name).write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=rf"{name} is no PNG file; wanted a picture$"):
        read_image(tmp_path / name, None)


@pytest.mark.parametrize("ending", [".png", ".PNG", ".tif", ".TIFF"])
def test_an_ending_may_be_in_capitals(tmp_path, ending):
    path = save(tmp_path / f"a{ending.lower()}", GRAY).rename(tmp_path / f"b{ending}")
    np.testing.assert_array_equal(read_image(path, None).planes[0, 0], GRAY / np.float32(255))
