"""The explorer of filters: its arrays give the verdicts that the preparation itself gives, and the module gets them."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from labutils.core.checks import ConfigError, InputError
from labutils.data.lidc_native import FILTERS, NativeConfig, native_slices
from labutils.data.lidc_scans import open_scan
from labutils.explore.filters import (
    NO_FILTER,
    PUBLISHED,
    FilterExplorer,
    filter_value,
    filters_at,
    filters_figure,
    gather,
)
from tests.explore.test_core import unpack


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
        PUBLISHED,
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
    shown = filters_at(candidates, filter_value(config))
    assert [case for case, why in zip(candidates.cases, shown.refusals, strict=True) if why is None] == kept
    assert list(shown.removed) == list(FILTERS)
    assert +Counter(shown.removed) == +removed


def test_every_slice_has_its_raters_and_a_picture(scans, candidates):
    assert len(candidates.cases) == len(set(candidates.cases))
    assert candidates.images.shape == (len(candidates.cases), 64, 64)
    assert [len(masks) for masks in candidates.masks] == candidates.annotations.tolist()
    assert (candidates.drew <= candidates.annotations).all()
    assert (np.diff(candidates.nodule) >= 0).all()
    assert candidates.nodule.max() + 1 == sum(len(scan.nodules) for scan in scans)
    assert np.array_equal(candidates.images, gather(scans).images)
    assert not np.array_equal(candidates.images, gather(scans, seed=1).images)


def test_who_drew_is_counted_by_hand(candidates):
    blank, full = np.zeros((64, 64), bool), np.ones((64, 64), bool)
    by_hand = replace(candidates, masks=(np.stack([blank, full, full]), np.stack([blank])))
    assert by_hand.drew.tolist() == [2, 0]


def test_a_place_among_all_is_a_slice_of_a_nodule(candidates):
    places = [candidates.position(place) for place in range(len(candidates.cases))]
    assert places[:4] == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert [nodule for nodule, _ in places] == candidates.nodule.tolist()
    for place, (nodule, index) in enumerate(places):
        picture = filters_at(candidates, filter_value(nodule=nodule, index=index)).picture
        assert np.array_equal(picture.image, candidates.images[place])


def test_the_picture_says_why_a_slice_goes(candidates):
    small = int(np.flatnonzero((candidates.area_px <= 30) & (candidates.annotations >= 2) & candidates.fits)[0])
    nodule, index = candidates.position(small)
    label = {
        config: filters_at(candidates, filter_value(config, nodule=nodule, index=index)).picture.label
        for config in (PUBLISHED, NO_FILTER, NativeConfig(min_readers=4))
    }
    assert candidates.annotations[small] < 4
    assert [text.split("\n")[1] for text in label.values()] == ["removed: area", "stays", "removed: raters"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"nodule": 99}, InputError, "no nodule 99"),
        ({"slice": 4}, InputError, "slice is 4; wanted 0 to 3"),
        ({"low": 50, "high": 50}, ConfigError, "two rising sizes"),
        ({"raters": 0}, ConfigError, "min_readers is 0"),
    ],
)
def test_values_without_a_meaning_are_refused(candidates, change, error, message):
    with pytest.raises(error, match=message):
        filters_at(candidates, filter_value() | change)


def test_nothing_outlined_is_refused():
    with pytest.raises(InputError, match="nothing was outlined"):
        gather([])


def test_the_figure_has_a_row_a_value(candidates):
    figure = filters_figure(candidates, [filter_value(config) for config in (NO_FILTER, PUBLISHED)])
    assert len(figure.axes) == 4
    names = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert names == ["candidates", "merged", "raters", "box", "border", "area"]


def test_the_value_begins_with_the_published_filters_and_can_be_set(candidates):
    explorer = FilterExplorer(candidates, nodule=2, index=3)
    assert explorer.value == {
        "nodule": 2,
        "slice": 3,
        "merged": True,
        "raters": 2,
        "box": True,
        "border": True,
        "area": True,
        "low": 30,
        "high": 800,
    }
    explorer.value = filter_value(NO_FILTER)
    assert explorer.value["area"] is False
    assert json.loads(json.dumps(explorer.data)) == json.loads(json.dumps(FilterExplorer(candidates).data))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"nodule": 99}, "no nodule 99"),
        ({"slice": -1}, "slice is -1; wanted 0 to"),
        ({"low": 50, "high": 50}, "low, high are 50, 50; wanted two rising areas from 0 to 900"),
        ({"high": 901}, "low, high are 30, 901"),
        ({"raters": 5}, "raters is 5; wanted 1 to 4"),
    ],
)
def test_a_value_that_no_control_gives_is_refused(candidates, given, message):
    explorer = FilterExplorer(candidates)
    with pytest.raises(InputError, match=message):
        explorer.value = explorer.value | given
    assert explorer.value == filter_value()


def test_the_limits_reach_beyond_every_slice(candidates):
    for high in (30, 800, 2000):
        most = FilterExplorer(candidates, config=NativeConfig(area_px=(10, high))).data["most"]
        assert most > max(high, candidates.area_px.max())
        assert most % 50 == 0


def test_every_rater_has_a_bit_beyond_eight_as_well(candidates):
    rng = np.random.default_rng(0)
    many = rng.random((11, 64, 64)) < 0.5
    masks = (many, *candidates.masks[1:])
    crowded = replace(candidates, masks=masks, annotations=np.array([len(one) for one in masks]))
    data = FilterExplorer(crowded).data
    bits = unpack(data["masks"])
    assert bits.shape == (len(masks), 2, 64, 64)
    assert len(data["raters"]) == 11
    for place, one in enumerate(masks):
        found = [(bits[place, r >> 3] >> (r & 7)) & 1 for r in range(16)]
        assert np.array_equal(found[: len(one)], one)
        assert not np.any(found[len(one) :])


@pytest.mark.parametrize(
    ("given", "message"),
    [({"nodule": 99}, "no nodule 99"), ({"nodule": -1}, "no nodule -1"), ({"index": 40}, "slice is 40; wanted 0 to")],
)
def test_a_start_that_is_not_there_is_refused(candidates, given, message):
    with pytest.raises(InputError, match=message):
        FilterExplorer(candidates, **given)
