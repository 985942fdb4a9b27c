"""Crops of 0.5 mm pixels: grouping by boxes, every filter and every file by hand."""

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest

from labutils.core.checks import ConfigError
from labutils.data.lidc_contours import Contour, Grid
from labutils.data.lidc_resampled import (
    AIR_HU,
    FILTERS,
    Drawn,
    ResampledConfig,
    lesions,
    overlap_groups,
    resample,
    resampled_crops,
)
from labutils.data.lidc_scans import Scan
from tests.data.test_lidc_native import square

SMALL = ResampledConfig(size_px=16)


def drawn(annotation, low, high):
    return Drawn(annotation, [square(0.0, low, high)])


def groups_of(*annotations):
    return [[one.annotation for one in group] for group in overlap_groups(list(annotations))]


def test_boxes_that_overlap_directly_or_through_others_are_one_lesion():
    chain = [drawn(1, (2, 2), (4, 4)), drawn(2, (4, 4), (6, 6)), drawn(3, (7, 7), (9, 9)), drawn(4, (30, 2), (31, 3))]
    assert groups_of(*chain) == [[1, 2, 3], [4]]
    assert groups_of(*chain[::-1]) == [[3, 2, 1], [4]]
    assert groups_of(chain[0], chain[2], chain[3]) == [[1], [3], [4]]


def test_boxes_meet_when_they_share_a_pixel_and_not_when_they_are_neighbors():
    # the outlines of pixels 2..4 and 7..8 run through 1..5 and 6..9; those of 2..4 and 6..8 share pixel 5
    assert groups_of(drawn(1, (2, 2), (4, 4)), drawn(2, (2, 7), (4, 8))) == [[1], [2]]
    assert groups_of(drawn(1, (2, 2), (4, 4)), drawn(2, (2, 6), (4, 8))) == [[1, 2]]
    # boxes that overlap in rows only do not meet
    assert groups_of(drawn(1, (2, 2), (4, 4)), drawn(2, (3, 20), (5, 22))) == [[1], [2]]


def test_lesions_come_by_row_and_then_by_column_of_their_box():
    many = [drawn(1, (20, 2), (21, 3)), drawn(2, (2, 20), (3, 21)), drawn(3, (2, 5), (3, 6))]
    assert groups_of(*many) == [[3], [2], [1]]


def test_nothing_drawn_is_no_lesion():
    assert overlap_groups([]) == []


@pytest.fixture
def scan():
    """Two slices of 40 x 40 pixels of 1 mm: two raters on both; slice 1 lies at another location than it says."""
    ramp = np.add.outer(np.arange(40) * 10.0, np.arange(40)).astype(np.float32) - 1000
    return Scan(
        number=5,
        patient="LIDC-IDRI-0042",
        size=(40, 40),
        pixel_mm=1.0,
        positions_mm=np.array([-3.5, 1.25]),
        locations_mm=np.array([3.5, 2.0]),
        slice_hu=lambda index: ramp + 100 * index,
        nodules=(),
        contours={
            7: [square(-3.5, (10, 10), (14, 13)), square(1.25, (10, 10), (14, 13))],
            9: [square(-3.5, (12, 12), (14, 14)), square(1.25, (12, 12), (14, 14))],
        },
        ratings={},
    )


def test_each_filter_removes_what_it_says(scan):
    def counted(scan, config=SMALL):
        removed = Counter()
        return len(list(lesions(scan, config, removed))), +removed

    assert counted(scan) == (1, {"location": 1})
    assert counted(scan, replace(SMALL, location=False)) == (2, {})
    assert counted(replace(scan, locations_mm=np.array([np.nan, -1.25]))) == (1, {"location": 1})
    point = Contour(-3.5, True, np.array([[30.0, 30.0]]))
    marked = replace(scan, contours=scan.contours | {11: [point]})
    assert counted(marked) == (1, {"location": 1, "outline": 1})
    assert counted(marked, replace(SMALL, outline=False)) == (1, {"location": 1, "empty": 1})
    crowd = replace(scan, contours=dict.fromkeys(range(5), scan.contours[7][:1]))
    assert counted(crowd) == (0, {"merged": 1})
    assert {"outline", "location", "merged", "empty"} == set(FILTERS)


def test_a_crop_is_centered_on_its_lesion_in_pixels_of_half_a_millimeter(scan):
    (lesion,) = lesions(scan, SMALL, Counter())
    # boxes run from 9 to 15 in rows and columns, so the middle is pixel 12 and half a millimeter is half a pixel
    assert lesion.grid == Grid(center=(12.0, 12.0), step=0.5, size_px=16)
    areas = [int(mask.sum()) for mask in lesion.masks]
    # rows 9.5 to 14.5 and columns 9.5 to 13.5 in pixels, 5 x 4 mm; then 3 x 3 mm: four fine pixels each
    assert areas == [80, 36]


def test_gray_values_are_linear_between_pixels_and_air_outside():
    ramp = np.add.outer(np.arange(6) * 10.0, np.arange(6)).astype(np.float32)
    inside = resample(ramp, Grid(center=(2.0, 3.0), step=0.5, size_px=4))
    rows, columns = Grid(center=(2.0, 3.0), step=0.5, size_px=4).axes()
    np.testing.assert_allclose(inside, np.add.outer(10 * rows, columns), atol=0.4)  # cv2 rounds to 1/32 of a pixel
    outside = resample(ramp, Grid(center=(-50.0, 3.0), step=0.5, size_px=4))
    np.testing.assert_array_equal(outside, np.full((4, 4), AIR_HU, np.float32))


def test_the_files_of_a_crop(scan):
    made = resampled_crops(scan, SMALL, Counter())
    assert made.images == ["LIDC-IDRI-0042/z--3.5_c0"]
    pixels = {one.path: cv2.imdecode(np.frombuffer(one.content, np.uint8), cv2.IMREAD_UNCHANGED) for one in made.files}
    name = made.images[0]
    assert list(pixels) == [f"images/{name}.png", *(f"gt/{name}_l{k}.png" for k in range(4))]
    gray = pixels[f"images/{name}.png"]
    assert (gray.dtype, gray.shape) == (np.uint8, (16, 16))
    # the middle is the value of pixel (12, 12), 132 HU above the window's lower end of 1400
    assert abs(gray[7:9, 7:9].mean() - 132 / 1400 * 255) < 0.6
    assert [int((pixels[f"gt/{name}_l{k}.png"] == 255).sum()) for k in range(4)] == [80, 36, 0, 0]
    assert all(set(np.unique(pixels[f"gt/{name}_l{k}.png"])) <= {0, 255} for k in range(4))


def test_crops_of_two_scans_at_one_z_are_numbered_on(scan):
    taken = Counter({"z--3.5": 2})
    assert resampled_crops(scan, SMALL, taken).images == ["LIDC-IDRI-0042/z--3.5_c2"]
    assert taken["z--3.5"] == 3


@pytest.mark.parametrize("changes", [{"size_px": 15}, {"pixel_mm": 0.0}, {"window_hu": (400.0, -1000.0)}])
def test_settings_that_cannot_be_are_refused(changes):
    with pytest.raises(ConfigError):
        ResampledConfig(**changes)
