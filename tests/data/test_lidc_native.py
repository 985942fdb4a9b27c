"""Crops of native pixels: filters by hand, crops at the border, and the public files' masks from outlines alone."""

import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from labutils.core.checks import ConfigError, DataError
from labutils.core.runtime import data_root
from labutils.data import lidc_crops
from labutils.data.lidc_contours import RATINGS, Contour
from labutils.data.lidc_index import Nodule, read_index
from labutils.data.lidc_native import FILTERS, NativeConfig, consensus, native_crops, native_slices
from labutils.data.lidc_scans import Scan, by_patient, find_scans, open_scan

SIDE = 16
EVERYTHING = NativeConfig(size_px=SIDE, min_readers=1, area_px=None)


def square(z_mm, low, high):
    """The closed outline just around the pixels low..high, both inclusive, of rows and columns."""
    (r0, c0), (r1, c1) = (low[0] - 1, low[1] - 1), (high[0] + 1, high[1] + 1)
    corners = [(r0, c0), (r0, c1), (r1, c1), (r1, c0)]
    return Contour(z_mm, True, np.array(corners, float))


@pytest.fixture
def scan():
    """Three slices of 40 x 30 pixels; three readers outlined one nodule, the third on one slice only."""
    outlines = {
        1: [square(z, (10, 10), (13, 13)) for z in (0.0, 1.0, 2.0)],
        2: [square(z, (10, 10), (13, 11)) for z in (0.0, 1.0)],
        3: [square(1.0, (12, 10), (13, 13))],
    }
    return Scan(
        number=5,
        patient="LIDC-IDRI-0042",
        size=(40, 30),
        pixel_mm=0.7,
        positions_mm=np.arange(3.0),
        locations_mm=np.arange(3.0),
        slice_hu=lambda index: np.arange(1200, dtype=np.float32).reshape(40, 30) - 1000 + 7 * index,
        nodules=(Nodule(scan=5, patient="LIDC-IDRI-0042", number=2, annotations=(1, 2, 3)),),
        contours=outlines,
        ratings={a: dict.fromkeys(RATINGS, a) for a in outlines},
    )


def slices(scan, **changes):
    removed = Counter()
    config = replace(EVERYTHING, **changes)
    kept = [one for nodule in scan.nodules for one in native_slices(scan, nodule, config, removed)]
    return kept, +removed


def test_masks_names_and_windows_by_hand(scan):
    kept, removed = slices(scan)
    assert [one.case for one in kept] == [f"pid_0042_nod_1_slice_{i}" for i in range(3)]
    assert not removed
    # The box runs from 9 to 14; its middle is pixel 12, and the crop starts 8 pixels before it.
    assert kept[0].window == (slice(4, 20), slice(4, 20))
    areas = [[int(mask.sum()) for mask in np.moveaxis(one.masks, -1, 0)] for one in kept]
    assert areas == [[16, 8, 0], [16, 8, 8], [16, 0, 0]]
    rows, columns = np.nonzero(kept[0].masks[..., 0])
    assert (rows.min() + 4, rows.max() + 4, columns.min() + 4, columns.max() + 4) == (10, 13, 10, 13)


def test_consensus_counts_ties_as_foreground_by_hand():
    masks = np.array([[[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]]], bool)  # one row of three pixels, four raters
    np.testing.assert_array_equal(consensus(masks), [[True, False, True]])
    np.testing.assert_array_equal(consensus(masks[..., :3]), [[True, False, True]])


@pytest.mark.parametrize(
    ("changes", "kept", "removed"),
    [
        ({}, 3, {}),
        ({"min_readers": 4}, 0, {"readers": 3}),
        ({"area_px": (8, 100)}, 1, {"area": 2}),  # consensus areas: 8 (2 of 3), 12, 0
        ({"area_px": (7, 100)}, 2, {"area": 1}),
        ({"area_px": (7, 12)}, 1, {"area": 2}),
    ],
)
def test_each_filter_removes_what_it_says(scan, changes, kept, removed):
    found = slices(scan, **changes)
    assert (len(found[0]), found[1]) == (kept, removed)


def with_outline(scan, *outlines):
    contours = scan.contours | {1: list(outlines)}
    return replace(scan, contours=contours)


def test_nodules_larger_than_the_crop_are_removed_unless_they_are_wanted(scan):
    wide = with_outline(scan, square(0.0, (10, 3), (12, 18)))  # outline from column 2 to 19: 18 pixels
    assert slices(wide) == ([], {"box": 2})
    assert len(slices(wide, box=False)[0]) == 2
    just = with_outline(scan, square(0.0, (10, 5), (12, 18)))  # 16 pixels
    assert len(slices(just)[0]) == 2


def test_merged_nodules_are_removed_unless_they_are_wanted(scan):
    five = tuple(range(1, 6))
    merged = replace(
        scan,
        nodules=(replace(scan.nodules[0], annotations=five),),
        contours=dict.fromkeys(five, scan.contours[1]),
    )
    assert slices(merged) == ([], {"merged": 3})
    kept, _ = slices(merged, merged=False)
    assert kept[0].masks.shape == (SIDE, SIDE, 5)


def test_a_crop_at_the_border_is_moved_into_the_scan_or_dropped(scan):
    near = replace(scan, contours={a: [square(0.0, (2, 25), (4, 27))] for a in (1, 2, 3)})
    (one,), removed = slices(near)
    assert one.window == (slice(0, 16), slice(14, 30))
    assert not removed
    rows, columns = np.nonzero(one.masks[..., 0])
    assert (rows.min(), rows.max(), columns.min() + 14, columns.max() + 14) == (2, 4, 25, 27)
    assert slices(near, border="drop") == ([], {"border": 1})


def test_a_scan_smaller_than_a_crop_is_refused(scan):
    with pytest.raises(DataError, match="scan 5 has"):
        slices(replace(scan, size=(40, 15)))


def test_the_files_of_a_crop(scan, tmp_path):
    made = native_crops(scan, replace(EVERYTHING, area_px=(7, 100)))
    assert made.images == ["pid_0042_nod_1_slice_0", "pid_0042_nod_1_slice_1"]
    assert made.removed == {"area": 1}
    for file in made.files:
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    name = f"{made.images[1]}.tif"
    hu = tifffile.imread(tmp_path / "hu" / name)
    np.testing.assert_array_equal(hu[0], scan.slice_hu(1)[4:20, 4:20])
    z = tifffile.imread(tmp_path / "scans" / name)
    assert (z.shape, z.dtype) == ((1, 16, 16), np.float64)
    np.testing.assert_allclose(z, (hu - hu.mean(dtype=float)) / hu.std(dtype=float), rtol=0, atol=1e-12)
    annots = tifffile.imread(tmp_path / "masks" / "annots" / name)
    assert (annots.shape, annots.dtype) == ((1, 16, 16, 3), np.bool_)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "masks" / "GT" / name)[0], consensus(annots[0]))
    (row,) = made.rows
    assert row == {
        "patient_id": "0042",
        "nodule_no": "1",
        **dict.fromkeys(RATINGS, "2"),
        "nod_sz_per_slice": "[8, 12]",
        "pixel_mm": "0.7",
    }


def test_one_gray_value_becomes_zero(scan):
    flat = replace(scan, slice_hu=lambda _index: np.full((40, 30), -1000, np.float32))
    files = {file.path.split("/")[0]: file.content for file in native_crops(flat, EVERYTHING).files}
    assert not tifffile.imread(io.BytesIO(files["scans"])).any()


@pytest.mark.parametrize(
    "changes",
    [{"size_px": 15}, {"min_readers": 0}, {"min_readers": 5}, {"border": "pad"}, {"area_px": (30, 30)}],
)
def test_settings_that_cannot_be_are_refused(changes):
    with pytest.raises(ConfigError):
        NativeConfig(**changes)


def test_only_named_filters_count(lidc_dicom):
    for folders in by_patient(find_scans(lidc_dicom)).values():
        for number, (folder,) in folders.items():
            made = native_crops(open_scan(number, folder), NativeConfig())
            assert set(made.removed) <= set(FILTERS)
            assert len(made.files) == 4 * len(made.images)


@pytest.mark.data
@pytest.mark.parametrize("split", ["train", "validate"])
def test_the_outlines_give_the_public_crops_and_masks(split):
    store = lidc_crops.load(split, data_root() / "lidc_crops")
    config = NativeConfig(border="drop")
    ours = {}
    for number in sorted({nodule.scan for nodule in read_index() if nodule.patient in set(store.patients)}):
        scan = open_scan(number)
        for nodule in scan.nodules:
            ours |= {one.case: one.masks for one in native_slices(scan, nodule, config, Counter())}
    assert set(ours) == set(store.cases)
    off = [
        int((np.moveaxis(ours[case], -1, 0) != store.masks[i][store.present[i]]).sum())
        for i, case in enumerate(store.cases)
    ]
    assert max(off) <= 2
    assert np.count_nonzero(off) <= 0.011 * len(off)
