"""The explorer of filters: its arrays give the verdicts that the preparation itself gives."""

from collections import Counter
from dataclasses import replace

import ipywidgets as widgets
import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.data.lidc_native import FILTERS, NativeConfig, native_slices
from labutils.data.lidc_scans import open_scan
from labutils.explore.filters import NO_FILTER, filter_explorer, filters_at, gather

PUBLIC = NativeConfig(border="drop")


@pytest.fixture(scope="module")
def scans():
    return [open_scan(number) for number in (769, 946)]  # 946 has nodules of every number of raters, and a large one


@pytest.fixture(scope="module")
def candidates(scans):
    return gather(scans)


@pytest.mark.parametrize(
    "config",
    [
        NO_FILTER,
        PUBLIC,
        NativeConfig(min_readers=4),
        NativeConfig(box=False, area_px=(10, 100)),
        replace(NO_FILTER, box=True),
    ],
)
def test_verdicts_are_those_of_the_preparation(scans, candidates, config):
    removed = Counter()
    kept = [
        one.case for scan in scans for nodule in scan.nodules for one in native_slices(scan, nodule, config, removed)
    ]
    refusals = candidates.refusals(config)
    assert [case for case, why in zip(candidates.cases, refusals, strict=True) if why is None] == kept
    assert Counter(why for why in refusals if why) == +removed


def test_every_slice_has_its_raters_and_a_picture(scans, candidates):
    assert len(candidates.cases) == len(set(candidates.cases))
    assert candidates.images.shape == (len(candidates.cases), 64, 64)
    assert [len(masks) for masks in candidates.masks] == candidates.annotations.tolist()
    assert (np.diff(candidates.nodule) >= 0).all()
    assert candidates.nodule.max() + 1 == sum(len(scan.nodules) for scan in scans)
    assert np.array_equal(candidates.images, gather(scans).images)
    assert not np.array_equal(candidates.images, gather(scans, seed=1).images)


def test_the_picture_says_why_a_slice_goes(candidates):
    small = int(np.flatnonzero((candidates.area_px <= 30) & (candidates.annotations >= 2) & candidates.fits)[0])
    nodule = int(candidates.nodule[small])
    index = small - int(np.flatnonzero(candidates.nodule == nodule)[0])
    picture, total, removed = filters_at(candidates, nodule, index, PUBLIC)
    assert picture.label.endswith("removed: area")
    assert (total, list(removed)) == (len(candidates.cases), list(FILTERS))
    assert filters_at(candidates, nodule, index, NO_FILTER)[0].label.endswith("stays")


def test_an_index_beyond_the_nodule_is_its_last_slice(candidates):
    last = int((candidates.nodule == 0).sum()) - 1
    beyond, at_the_end = (filters_at(candidates, 0, index, PUBLIC)[0] for index in (999, last))
    assert np.array_equal(beyond.image, at_the_end.image)


def test_a_nodule_that_is_not_there_is_refused(candidates):
    with pytest.raises(InputError, match="no nodule 99"):
        filters_at(candidates, 99, 0, PUBLIC)


def test_nothing_outlined_is_refused():
    with pytest.raises(InputError, match="nothing was outlined"):
        gather([])


def test_every_control_changes_the_picture(candidates):
    box = filter_explorer(candidates)
    *controls, picture = box.children
    changes = {"nodule": 2, "slice": 0, "readers": 4, "area, px": (0, 60)}
    seen = [bytes(picture.value)]
    for control in controls:
        if isinstance(control, widgets.Checkbox):
            continue
        control.value = changes[control.description]
        seen.append(bytes(picture.value))
    assert len(set(seen)) == len(seen) == 5
    assert sum(isinstance(control, widgets.Checkbox) for control in controls) == 3


def test_limits_that_meet_are_moved_apart(candidates):
    box = filter_explorer(candidates)
    (area,) = (control for control in box.children[:-1] if control.description == "area, px")
    area.value = (100, 100)  # no error: nothing lies between them
    assert bytes(box.children[-1].value).startswith(b"\x89PNG")
