"""IDX files: read as written, and every damage in one sentence."""

import gzip
import struct

import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.core.runtime import data_root
from labutils.data import idx
from labutils.data.idx import read_idx

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def written(array, *, kind=8):
    return bytes((0, 0, kind, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_it_reads_what_was_written(tmp_path, pack):
    path = tmp_path / "images"
    path.write_bytes(pack(written(IMAGES)))
    assert np.array_equal(read_idx(path, 3), IMAGES)


DAMAGED = {
    "empty": (b"", "not an IDX file"),
    "another file": (b"\x89PNG\r\n\x1a\n" + bytes(40), "not an IDX file"),
    "another type": (written(IMAGES, kind=0x0D), "not an IDX file of bytes with 3 axes"),
    "labels": (written(np.arange(9, dtype=np.uint8)), "with 3 axes"),
    "cut": (written(IMAGES)[:-1], r"holds 23 bytes of data; its header says \(2, 3, 4\)"),
    "too long": (written(IMAGES) + b"x", "holds 25 bytes"),
    "huge claim": (bytes((0, 0, 8, 3)) + struct.pack(">3I", *[2**32 - 1] * 3), "holds 0 bytes"),
    "no image": (written(IMAGES[:0]), "no axis of size 0"),
    "cut archive": (gzip.compress(written(IMAGES))[:-9], "cut short"),
    "damaged archive": (gzip.compress(written(IMAGES))[:-8] + bytes(8), "cannot be unpacked"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_told(tmp_path, name):
    content, sentence = DAMAGED[name]
    (tmp_path / "digits").write_bytes(content)
    with pytest.raises(DataError, match=sentence) as caught:
        read_idx(tmp_path / "digits", 3)
    assert "digits" in str(caught.value)


def test_a_file_that_is_not_there_and_one_that_unpacks_without_end(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="gone cannot be read: No such file"):
        read_idx(tmp_path / "gone", 3)
    monkeypatch.setattr(idx, "LARGEST_BYTES", 1 << 20)
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(1 << 22)))
    with pytest.raises(DataError, match="unpacks to more than 1 MiB"):
        read_idx(tmp_path / "bomb", 3)


@pytest.mark.data
def test_the_published_test_digits():
    folder = data_root() / "mnist_idx"
    images = read_idx(folder / "t10k-images-idx3-ubyte.gz", 3)
    labels = read_idx(folder / "t10k-labels-idx1-ubyte.gz", 1)
    assert images.shape == (10_000, 28, 28)
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
