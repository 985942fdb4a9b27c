"""Three raters of one volume: kept as stored, turned only when asked, and told apart by the look at the raters."""

import nibabel
import numpy as np
import pytest
import torch

from labutils.consensus.fuse import WAYS, fuse
from labutils.consensus.odd_raters import OddRaterWarning, odd_raters
from labutils.core.checks import DataError
from labutils.data import catalog
from labutils.data.stapler import read_masks
from labutils.metrics.overlap import pairwise_dice

SHAPE = (3, 6, 5)


def stored(reader):
    mask = np.zeros(SHAPE, np.int32)
    mask[0, :3, 1 : 2 + reader] = 1
    return np.flip(mask, (0, 1)) if reader == 2 else mask


def save(folder, reader, array, spacing=(1.0, 2.0, 3.0)):
    image = nibabel.Nifti1Image(array, None, dtype=array.dtype)  # no affine: neither sform nor qform
    image.header.set_zooms(spacing)
    nibabel.save(image, folder / f"seg_{reader}.nii.gz")


@pytest.fixture
def folder(tmp_path):
    for reader in (1, 2, 3):
        save(tmp_path, reader, stored(reader))
    return tmp_path


def test_masks_are_kept_as_they_are_stored(folder):
    readings = read_masks(folder)
    assert (readings.masks.dtype, readings.masks.shape) == (np.uint8, (3, *SHAPE))
    for reader in (1, 2, 3):
        np.testing.assert_array_equal(readings.masks[reader - 1], stored(reader))
    assert readings.spacing_mm == (1.0, 2.0, 3.0)
    assert readings.names == ("rater 1", "rater 2", "rater 3")


def test_rater_2_is_turned_when_asked_and_says_so(folder):
    readings = read_masks(str(folder), turn_reader_2=True)
    np.testing.assert_array_equal(readings.masks[1], np.flip(stored(2), (0, 1)))
    np.testing.assert_array_equal(readings.masks[[0, 2]], read_masks(folder).masks[[0, 2]])
    assert readings.names == ("rater 1", "rater 2, turned", "rater 3")


DAMAGES = {
    "gone": (lambda f: (f / "seg_3.nii.gz").unlink(), r"seg_3\.nii\.gz cannot be read"),
    "no mask": (lambda f: save(f, 2, stored(2) * 2), r"seg_2\.nii\.gz holds values from 0 to 2; wanted 0 and 1"),
    "below zero": (lambda f: save(f, 2, -stored(2)), "holds values from -1 to 0"),
    "size": (lambda f: save(f, 3, stored(3)[:2]), r"seg_3\.nii\.gz has 2 x 6 x 5 voxels .* wanted one grid"),
    "spacing": (lambda f: save(f, 3, stored(3), (1.0, 1.0, 1.0)), "wanted one grid"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told(folder, name):
    damage, sentence = DAMAGES[name]
    damage(folder)
    with pytest.raises(DataError, match=sentence):
        read_masks(folder)


def test_the_catalog_knows_the_card_and_refuses_a_store(folder):
    assert catalog.searched("stapler-lesions", folder)[-1] == (folder, True)
    assert catalog.available("stapler-lesions", folder) == ()
    with pytest.raises(DataError, match=r"no image; use labutils\.data\.stapler\.read_masks on "):
        catalog.load("stapler-lesions", "all", root=folder)


@pytest.fixture(scope="module")
def published():
    root = next(folder for folder, found in catalog.searched("stapler-lesions") if found)
    return {turned: read_masks(root, turn_reader_2=turned) for turned in (False, True)}


def as_bool(readings):
    return torch.from_numpy(readings.masks) == 1


@pytest.mark.data
def test_the_published_volume(published):
    readings = published[False]
    assert readings.masks.shape == (3, 72, 256, 256)
    assert readings.spacing_mm == (1.0, 1.0, 1.0)
    assert readings.masks.sum(axis=(1, 2, 3)).tolist() == [32590, 33013, 30078]
    for turned, expected in ((False, (0.088, 0.819, 0.082)), (True, (0.748, 0.819, 0.736))):
        masks = as_bool(published[turned])[None]
        dice = pairwise_dice(masks, masks)[0]
        assert (dice[0, 1].item(), dice[0, 2].item(), dice[1, 2].item()) == pytest.approx(expected, abs=0.0005)


@pytest.mark.data
@pytest.mark.parametrize("by", WAYS)
def test_fusing_the_published_volume_warns_of_reader_2_until_it_is_turned(published, by):
    says = r"rater 2 of case 0 has a mean Dice of 0\.085 .* 0\.819 among themselves; flipping axes 0 and 1 gives 0\.742"
    with pytest.warns(OddRaterWarning, match=says) as warned:
        wrong = fuse(as_bool(published[False])[None], by=by, names=published[False].names)
    assert len(warned) == 1
    turned = as_bool(published[True])[None]
    right = fuse(turned, by=by, names=published[True].names)  # a warning would be an error here
    assert not torch.equal(wrong, right)


@pytest.mark.data
def test_the_remedy_is_the_flip_that_was_asked_for(published):
    found = odd_raters(as_bool(published[False]))
    assert found.odd.tolist() == [False, True, False]
    assert (found.remedies[1].axes, found.remedies[1].flipped) == ((0, 1, 2), (0, 1))
    assert np.array_equal(np.flip(published[False].masks[1], found.remedies[1].flipped), published[True].masks[1])
