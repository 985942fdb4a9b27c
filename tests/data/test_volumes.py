"""Volumes lie the same way whatever their file's orientation, go back bit for bit, and damage is one sentence."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import logging
import os
import struct
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from labutils.core.checks import DataError, InputError
from labutils.data.grids import Grid, distance_mm, planes_to_volume
from labutils.data.volumes import MAX_VOXELS, read_grid, read_volume, write_volume

ORIENTATIONS = [
    "".join(axes) for order in itertools.permutations(("RL", "AP", "SI")) for axes in itertools.product(*order)
]
OBLIQUE = np.array([[0.5, 0.02, 0, -12], [-0.02, 0.7, 0.1, 30], [0.01, -0.1, 2.5, -40], [0, 0, 0, 1]])  # near RAS


def labels(shape=(5, 6, 4), dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 3, shape).astype(dtype)


def laid(array, affine, axes):
    """An array (R, A, S) and its affine stored along other axes, the same patient."""
    turns = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(axes)))
    return apply_orientation(array, turns), affine @ inv_ornt_aff(turns, array.shape)


def save(path, array, affine=OBLIQUE, **header):
    image = nibabel.Nifti1Image(array, affine, dtype=array.dtype)
    for name, value in header.items():
        image.header[name] = value
    path.write_bytes(gzip.compress(image.to_bytes()) if path.name.endswith(".gz") else image.to_bytes())
    return path


def patched(path, offset, code, *values):
    content = bytearray(path.read_bytes())
    struct.pack_into(code, content, offset, *values)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_every_orientation_gives_the_same_planes_and_goes_back(tmp_path, axes, dtype):
    assert len(set(ORIENTATIONS)) == 48
    truth = labels(dtype=dtype)
    stored, affine = laid(truth, OBLIQUE, axes)
    volume = read_volume(save(tmp_path / "a.nii.gz", stored, affine))
    assert volume.grid.axes == axes
    np.testing.assert_array_equal(volume.planes, truth[::-1, ::-1].transpose(2, 1, 0))  # LPS of RAS
    assert volume.grid.spacing_mm == pytest.approx(tuple(np.linalg.norm(OBLIQUE[:3, :3], axis=0)[::-1]), abs=1e-6)
    np.testing.assert_array_equal(planes_to_volume(volume.planes, volume.grid), stored)
    write_volume(tmp_path / "b.nii.gz", volume.planes, volume.grid)
    again = nibabel.load(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(np.asarray(again.dataobj), stored)
    assert again.get_data_dtype() == dtype
    np.testing.assert_allclose(again.affine, affine, atol=1e-5, rtol=0)
    assert distance_mm(volume.grid, read_grid(tmp_path / "b.nii.gz")) < 1e-4


def test_padding_is_cut_off_and_missing_pixels_are_refused(tmp_path):
    stored = labels()
    planes, grid = read_volume(save(tmp_path / "a.nii", stored))
    np.testing.assert_array_equal(planes_to_volume(np.pad(planes, [(0, 0), (0, 3), (0, 2)]), grid), stored)
    with pytest.raises(InputError, match="planes are 5 x 5 pixels; wanted 6 x 5 or more"):
        planes_to_volume(planes[:, 1:], grid)
    with pytest.raises(InputError, match="wanted D = 4"):
        planes_to_volume(planes[1:], grid)


@pytest.mark.parametrize("shape", [(5,), (5, 6), (5, 6, 1), (5, 6, 4, 1)])
def test_axes_of_size_one_come_and_go(tmp_path, shape):
    volume = read_volume(save(tmp_path / "a.nii", labels(shape)))
    assert volume.planes.size == np.prod(shape)
    assert volume.planes.ndim == 3


def test_scaled_numbers_are_scaled(tmp_path):
    path = save(tmp_path / "a.nii", np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    patched(path, 112, "<2f", 2, -1024)
    volume = read_volume(path)
    assert volume.planes.dtype == np.float32
    assert sorted(volume.planes.ravel()) == [2 * i - 1024 for i in range(24)]
    assert read_volume(patched(path, 112, "<2f", 0, 7)).planes.dtype == np.int16  # slope 0: no scaling


def test_big_endian_and_the_second_version_are_read(tmp_path):
    stored = labels(dtype=np.int16)
    big = nibabel.Nifti1Image(stored, OBLIQUE).header.as_byteswapped(">")
    (tmp_path / "a.nii").write_bytes(nibabel.Nifti1Image(stored, OBLIQUE, big).to_bytes())
    (tmp_path / "b.nii").write_bytes(nibabel.Nifti2Image(stored, OBLIQUE).to_bytes())
    for name in "ab":
        volume = read_volume(tmp_path / f"{name}.nii")
        assert volume.planes.dtype == np.dtype(np.int16)
        np.testing.assert_array_equal(planes_to_volume(*volume), stored)


def both_forms(path, sform, qform, s_code=1, q_code=1):
    image = nibabel.Nifti1Image(labels(), sform)
    image.set_sform(sform, s_code)
    image.set_qform(qform, q_code)
    path.write_bytes(image.to_bytes())
    return path


STRAIGHT = np.diag([1.0, 1, 2, 1])
SHIFTED = STRAIGHT + np.array([[0.0, 0, 0, 40]] + [[0] * 4] * 3)


@pytest.mark.parametrize(
    ("qform", "q_code", "place"),
    [(STRAIGHT, 1, 0), (STRAIGHT + 1e-4 * np.eye(4), 1, 0), (SHIFTED, 2, 0)],
)
def test_two_forms_that_agree_or_name_two_spaces_give_the_sform(tmp_path, qform, q_code, place):
    grid = read_grid(both_forms(tmp_path / "a.nii", STRAIGHT, qform, q_code=q_code))
    assert grid.placed
    assert grid.affine[0, 3] == place


@pytest.mark.parametrize(
    ("qform", "q_code"), [(SHIFTED, 1), (np.diag([-1.0, 1, 2, 1]), 1), (np.diag([-1, 1, 2, 1]), 2)]
)
def test_two_forms_that_contradict_each_other_are_refused(tmp_path, qform, q_code):
    path = both_forms(tmp_path / "a.nii", STRAIGHT, qform, q_code=q_code)
    with pytest.raises(DataError, match=r"a\.nii has a sform \(5 x 6 x 4 voxels RAS .* mm apart; wanted one geometry"):
        read_volume(path)


def test_a_qform_alone_counts_and_none_at_all_is_told(tmp_path):
    assert read_grid(both_forms(tmp_path / "a.nii", STRAIGHT, SHIFTED, s_code=0)).affine[0, 3] == 40
    assert not read_grid(both_forms(tmp_path / "a.nii", STRAIGHT, STRAIGHT, s_code=0, q_code=0)).placed


def test_distance_is_that_of_the_farthest_corner():
    grid = Grid((11, 5, 3), np.eye(4))
    assert distance_mm(grid, Grid((11, 5, 3), np.diag([1.001, 1, 1, 1]))) == pytest.approx(0.01)
    flipped = Grid((11, 5, 3), np.array([[-1.0, 0, 0, 10], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    assert distance_mm(grid, flipped) == 0  # the same places, stored the other way round
    assert distance_mm(grid, Grid((10, 5, 3), np.eye(4))) == np.inf


DIM, DATATYPE, OFFSET, SLOPE, UNITS, SROW, MAGIC = 40, 70, 108, 112, 123, 280, 344
HARM = {  # what is done to a good file, and what is said
    "four axes": (lambda p: save(p, labels((4, 4, 4, 2))), "holds 4 x 4 x 4 x 2 voxels; wanted three axes"),
    "NaN": (lambda p: save(p, np.full((3, 3, 3), np.nan)), "holds values that are NaN or infinite"),
    "colors": (
        lambda p: save(p, np.zeros((3, 3, 3), [(c, "u1") for c in "RGB"])),
        "holds colors; wanted whole or floating-point",
    ),
    "complex": (lambda p: save(p, np.zeros((3, 3, 3), np.complex64)), "holds complex64; wanted whole"),
    "unknown kind": (lambda p: patched(p, DATATYPE, "<h", 999), "holds voxels of an unknown kind"),
    "too many": (lambda p: patched(p, DIM, "<4h", 3, 2**14, 2**14, 2), f"claims 16384 .*; wanted {MAX_VOXELS} at most"),
    "more than there is": (lambda p: patched(p, DIM, "<4h", 3, 50, 60, 40), "is cut short or damaged"),
    "no axes": (lambda p: patched(p, DIM, "<h", 0), "claims 0 axes"),
    "an empty axis": (lambda p: patched(p, DIM, "<4h", 3, 5, 0, 4), r"claims 3 axes of sizes \[5, 0, 4\]"),
    "far voxels": (lambda p: patched(p, OFFSET, "<f", 1e12), "claims that its voxels begin at byte 1e[+]12"),
    "infinite slope": (lambda p: patched(p, SLOPE, "<2f", 2, np.inf), "adds inf to its voxels"),
    "micrometers": (lambda p: patched(p, UNITS, "<B", 3), "counts lengths in micrometers; wanted mm"),
    "flat": (lambda p: patched(p, SROW, "<12f", *[0] * 12), "has an affine that cannot be inverted"),
    "NaN affine": (lambda p: patched(p, SROW, "<f", np.nan), "has an affine that cannot be inverted"),
    "another file": (lambda p: p.write_bytes(b"PNG" * 200), "is no NIfTI file"),
    "nothing": (lambda p: p.write_bytes(b""), "is cut short or damaged"),
    "two files": (lambda p: patched(p, MAGIC, "<4s", b"ni1\0"), "is a header without its voxels"),
    "gone": (lambda p: p.unlink(), "cannot be read: No such file"),
}


@pytest.mark.parametrize("name", HARM)
def test_what_is_wrong_is_one_sentence(tmp_path, name):
    harm, sentence = HARM[name]
    path = save(tmp_path / "a.nii", labels())
    harm(path)
    with pytest.raises(DataError, match=rf"a\.nii {sentence}"):
        read_volume(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_file_cut_anywhere_is_refused(tmp_path, packed, share):
    path = save(tmp_path / ("a.nii.gz" if packed else "a.nii"), labels((20, 20, 20)))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"a\.nii\S* is cut short or damaged"):
        read_volume(path)


def test_damage_in_packed_voxels_is_refused(tmp_path):
    path = save(tmp_path / "a.nii.gz", labels((20, 20, 20)))
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # of the checksum
    path.write_bytes(content)
    with pytest.raises(DataError, match="is cut short or damaged"):
        read_volume(path)


@pytest.mark.parametrize(
    "bomb",
    [
        lambda path: patched(path, DIM, "<4h", 3, 2**14, 2**14, 2**10),  # terabytes of voxels
        lambda path: patched(path, OFFSET, "<f", 2.0**31),
        lambda path: patched(path, 348, "<4Bii", 1, 0, 0, 0, 2**30, 4),  # an extension of a gigabyte
    ],
)
def test_a_bomb_takes_no_memory(tmp_path, bomb):
    path = save(tmp_path / "a.nii", labels())
    bomb(path)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(path.read_bytes() + bytes(2**25)))
    tracemalloc.start()
    with contextlib.suppress(DataError):
        read_volume(tmp_path / "a.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def test_free_text_stays_in_the_header(tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    image = nibabel.Nifti1Image(labels(), OBLIQUE)
    for name in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[name] = b"CANARY"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"CANARY"))
    path = tmp_path / "a.nii"
    path.write_bytes(image.to_bytes())
    volume = read_volume(path)
    np.testing.assert_array_equal(planes_to_volume(*volume), labels())
    write_volume(tmp_path / "b.nii", *volume)
    assert b"CANARY" not in (tmp_path / "b.nii").read_bytes()
    for offset, code, value in ((DIM, "<h", 9), (SLOPE + 4, "<f", np.nan), (DATATYPE, "<h", 999), (OFFSET, "<f", -1)):
        harmed = patched(save(tmp_path / "c.nii", labels()), 148, "<6s", b"CANARY")
        patched(patched(harmed, SLOPE, "<f", 2), offset, code, value)
        with pytest.raises(DataError) as caught:
            read_volume(harmed)
        assert "CANARY" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert "CANARY" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("name", "dtype", "sentence"), [("a.img", np.uint8, "has another ending"), ("a.nii", np.int64, "planes are int64")]
)
def test_what_cannot_be_written_is_refused(tmp_path, name, dtype, sentence):
    with pytest.raises(InputError, match=sentence):
        write_volume(tmp_path / name, np.zeros((4, 6, 5), dtype), Grid((5, 6, 4), OBLIQUE))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.data
@pytest.mark.parametrize("name", ["OTMultiClass", "Flair_subtrMeanDivStd"])
def test_real_volumes_go_back_bit_for_bit(tmp_path, name):
    path = Path(os.environ["LABUTILS_DATA"]) / "brats2015_3d" / "brats_2013_pat0003_1" / f"{name}.nii.gz"
    volume = read_volume(path)
    assert volume.planes.shape == (155, 240, 240)
    assert volume.grid.spacing_mm == (1, 1, 1)
    write_volume(tmp_path / "b.nii.gz", volume.planes, volume.grid)
    before, after = nibabel.load(path), nibabel.load(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(np.asarray(before.dataobj), np.asarray(after.dataobj))
    np.testing.assert_allclose(before.affine, after.affine, atol=1e-5, rtol=0)
