"""Maps of planes go back into volumes that lie as the files they came from."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from labutils.data.findings import Findings
from labutils.data.own import load_own, own_dataset
from labutils.data.own_files import list_folder
from labutils.data.own_volumes import join_maps
from tests.own_folders import save, write_discs, write_volumes


@pytest.fixture
def mapped(tmp_path):
    """Volumes, and for every plane its own padded mask as a map."""
    root = write_volumes(tmp_path / "mine", count=4)
    cases = []
    for split in own_dataset(root).card.splits:
        store = load_own(root, split)
        cases += store.cases
        for i, case in enumerate(store.cases):
            save(tmp_path / "maps" / f"{case}.png", store.masks[i, 0] * 255)
    return list_folder(root, Findings(root, strict=True)), tmp_path / "maps", cases


def test_masks_as_maps_come_back_as_the_volumes_of_masks(mapped):
    folder, maps, cases = mapped
    written = join_maps(folder, maps, cases)
    assert [path.name for path in written] == [f"v{i}.nii.gz" for i in range(4)]
    for path in written:
        mask, back = nibabel.load(folder.root / "masks" / "anna" / path.name), nibabel.load(path)
        np.testing.assert_array_equal(np.asarray(back.dataobj), np.asarray(mask.dataobj))
        np.testing.assert_allclose(back.affine, mask.affine, atol=1e-5, rtol=0)


def test_a_volume_that_lacks_a_plane_is_left_out(mapped):
    folder, maps, cases = mapped
    written = join_maps(folder, maps, [case for case in cases if case != "v2_z001"])
    assert [path.name for path in written] == ["v0.nii.gz", "v1.nii.gz", "v3.nii.gz"]


def test_pictures_are_no_planes(tmp_path):
    root = write_discs(tmp_path / "mine", cases=2)
    assert join_maps(list_folder(root, Findings(root, strict=True)), tmp_path, ["d00", "d01"]) == []
