"""Real raters on procedural pixels: who is present, what is left out, and that nothing leaks between splits."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from labutils.core.checks import ConfigError, DataError
from labutils.data import catalog, lidc_raters
from labutils.data.lidc_index import read_index, scan_patients
from labutils.data.lidc_raters import CARD, SPLIT_FILE, LidcRatersConfig, coverage, load, ratings, slices_of
from labutils.data.splits import assert_disjoint, read_split, split_by_patient, split_hash

SAW_NOTHING, ABSENT = (LidcRatersConfig(silent_readers=choice) for choice in ("saw-nothing", "absent"))


@pytest.fixture(scope="module")
def store():
    return load("validate", 96, keep=False)


@pytest.fixture(scope="module")
def absent():
    return load("validate", 96, config=ABSENT, keep=False)


def drew(store):
    return store.masks.any(axis=(2, 3))


def test_cases_have_four_readers_and_fixed_pixels(store):
    assert len(store) == 96
    assert store.image.shape == (96, 1, 64, 64)
    assert store.masks.shape == (96, 4, 64, 64)
    assert store.image.min() >= 0
    assert store.image.max() <= 1
    assert set(np.unique(store.masks)) == {0, 1}
    assert (store.spacing_mm == 0.7).all()
    assert store.source == "embedded"
    assert all(case.startswith(f"{patient}_n") for case, patient in zip(store.cases, store.patients, strict=True))


def test_every_case_has_a_reader_who_drew_and_no_mask_is_cut_off(store):
    assert drew(store).any(axis=1).all()
    border = np.ones((64, 64), dtype=bool)
    border[1:-1, 1:-1] = False
    assert not (store.masks.astype(bool) & border).any()


def test_silent_readers_are_present_or_absent_and_nothing_else_changes(store, absent):
    assert store.cases == absent.cases
    assert np.array_equal(store.image, absent.image)
    assert np.array_equal(store.masks, absent.masks)
    assert store.present.all()
    assert not absent.present.all()
    assert not absent.masks[~absent.present].any()
    outlined = {(n.patient, n.number): len(n.annotations) for n in read_index()}
    for case, present in zip(absent.cases, absent.present, strict=True):
        patient, number, _ = case.split("_")
        assert present.sum() == outlined[patient, int(number[1:])]


def test_a_present_reader_may_have_drawn_nothing_on_this_slice():
    several = load("train", 128, config=ABSENT, keep=False)
    assert (several.present & ~drew(several)).any()


def test_a_small_limit_is_the_head_of_a_larger_one(store):
    few = load("validate", 5, keep=False)
    assert few.cases == store.cases[:5]
    assert few.manifest == store.subset(range(5)).manifest


def test_a_small_limit_stands_for_the_whole(store):
    assert len(set(store.patients)) > 50
    assert set(drew(store).sum(axis=1)) == {1, 2, 3, 4}


def test_the_seed_changes_pixels_order_and_slots_but_not_the_split():
    other = load("validate", 5, config=LidcRatersConfig(seed=1), keep=False)
    assert other.cases != load("validate", 5, keep=False).cases
    assert set(other.patients) <= set(read_split(SPLIT_FILE)["validate"])


def test_min_readers_leaves_out_what_few_outlined():
    config = LidcRatersConfig(min_readers=4, silent_readers="absent")
    assert load("validate", 12, config=config, keep=False).present.all()


def test_no_place_on_the_rater_axis_means_anything(absent):
    # Largest mask and silent readers fall on each of the four places about equally often.
    area = absent.masks.sum(axis=(2, 3))
    largest = Counter(area.argmax(axis=1).tolist())
    assert set(largest) == {0, 1, 2, 3}
    assert max(largest.values()) < 45  # of 96; 24 expected
    assert absent.present.mean(axis=0) == pytest.approx(absent.present.mean(), abs=0.15)
    assert not CARD.identified


def test_readers_disagree_as_radiologists_do(store):
    masks, ious = store.masks.astype(bool), []
    for case in masks:
        drawn = [mask for mask in case if mask.any()]
        ious += [(a & b).sum() / (a | b).sum() for a, b in combinations(drawn, 2)]
    assert 0.6 < np.mean(ious) < 0.8


def test_nodules_show_in_the_images(store):
    masks = store.masks.astype(bool)
    agreed, near = masks.all(axis=1), ~masks.any(axis=1)
    rows, columns = np.indices((64, 64)) - 31.5
    near &= np.hypot(rows, columns) < 16
    all_four = agreed.any(axis=(1, 2))
    lighter = [
        image[0][m].mean() > image[0][n].mean()
        for image, m, n in zip(store.image, agreed, near, strict=True)
        if m.any()
    ]
    assert all_four.sum() > 20
    assert np.mean(lighter) > 0.9


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([0.0], [0]),
        ([0.0, 2.5], [0, 1]),
        ([0.0, 1.25], [1]),  # too near: the middle one is enough
        ([0.0, 2.5, 5.0], [0, 1, 2]),
        ([0.0, 2.5, 5.0, 7.5, 10.0], [1, 2, 3]),
        ([float(i) for i in range(9)], [2, 4, 6]),
        ([0.6 * i for i in range(9)], [4]),
    ],
)
def test_slices_by_hand(positions, expected):
    assert slices_of(positions) == expected


def test_slices_of_one_nodule_are_not_neighbors_copies():
    nodules = Counter(plan.nodule for plan in lidc_raters._plans("test", SAW_NOTHING))
    assert max(nodules.values()) == 3
    assert all(len(nodule.annotations) <= 4 for nodule in nodules)


def test_ratings_stand_in_the_order_of_the_masks(absent):
    for case, present in list(zip(absent.cases, absent.present, strict=True))[:20]:
        rated = ratings(case)
        assert [table is not None for table in rated] == present.tolist()
        assert all(1 <= table["malignancy"] <= 5 for table in rated if table is not None)


@pytest.mark.parametrize("case", ["LIDC-IDRI-0001_n99_s01", "nodule 7", "LIDC-IDRI-0055_n01_s01"])
def test_ratings_of_no_case_are_refused(case):
    with pytest.raises(DataError, match="not a case of lidc-raters"):
        ratings(case)  # the last one is a merged nodule


def test_the_split_is_by_patient_and_frozen():
    split = read_split(SPLIT_FILE)
    assert_disjoint(split)
    assert {name: len(ids) for name, ids in split.items()} == {"train": 599, "validate": 210, "test": 201}
    assert split_hash(split) == "36645eed73249d6da60722a631fe35d3afa5ab1775d6cdd5ff62b94d46dc9ed0"
    patients = sorted(set(scan_patients().values()))
    assert sorted(p for ids in split.values() for p in ids) == patients
    dealt = split_by_patient(patients, {"train": 0.6, "validate": 0.2, "test": 0.2}, 2011)
    assert {name: [patients[i] for i in ids] for name, ids in dealt.items()} == {n: list(i) for n, i in split.items()}


def test_a_patient_with_two_scans_is_in_one_split():
    scans = Counter(scan_patients().values())
    twice = {patient for patient, count in scans.items() if count == 2}
    assert len(twice) == 8
    for patient in twice:
        assert sum(patient in ids for ids in read_split(SPLIT_FILE).values()) == 1


def test_what_is_left_out_is_counted():
    found = coverage("test")
    assert found == (493, 2, 0, 6, 485)
    assert found.nodules == found.merged + found.few_readers + found.too_large + found.used
    few = coverage("test", LidcRatersConfig(min_readers=2))
    assert few.few_readers > 0
    assert few.used < found.used


def test_a_made_store_is_kept_and_a_damaged_one_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path))
    made = load("test", 3)
    (folder,) = (tmp_path / "lidc-raters").iterdir()
    monkeypatch.setattr(lidc_raters, "planned_cases", None)  # from here on, making cases would fail
    kept = load("test", 3)
    assert kept.manifest == made.manifest
    monkeypatch.undo()
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path))
    (folder / "image.npy").write_bytes(b"cut short")
    assert load("test", 3).manifest == made.manifest
    assert lidc_raters.open_store(folder, verify=True).manifest == made.manifest


def test_another_recipe_is_another_store():
    keys = {
        lidc_raters._recipe(config, limit)
        for config, limit in [(SAW_NOTHING, None), (SAW_NOTHING, 4), (ABSENT, 4), (LidcRatersConfig(seed=1), 4)]
    }
    assert len(keys) == 4


def test_the_catalog_loads_it():
    store = catalog.load("lidc-raters", "test", limit=2)
    assert store.cases == load("test", 2).cases
    assert catalog.card("lidc-raters") is CARD


def test_senseless_wishes_are_refused():
    for wish in (
        lambda: load("training"),
        lambda: load("train", 0),
        lambda: coverage("all"),
        lambda: LidcRatersConfig(silent_readers="maybe"),
        lambda: LidcRatersConfig(min_readers=5),
        lambda: LidcRatersConfig(size_px=4),
        lambda: LidcRatersConfig(pixel_mm=0.0),
    ):
        with pytest.raises(ConfigError):
            wish()
