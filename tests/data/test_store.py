import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import InputError
from labutils.core.types import Case
from labutils.data.store import Store, join
from tests.discs import disc_store

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def ragged(draw):
    """Cases of one size with 1 to 5 raters each, some absent, one channel or two."""
    n, (height, width), channels = draw(st.integers(1, 5)), draw(SIZES), draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cases = []
    for i in range(n):
        raters = draw(st.integers(1, 5))
        present = rng.random(raters) < 0.7
        present[rng.integers(raters)] = True
        masks = rng.integers(0, 2, (raters, height, width), dtype=np.uint8) * present[:, None, None].astype(np.uint8)
        image = rng.random((channels, height, width), dtype=np.float32)
        cases.append(
            Case(image=image, masks=masks, present=present, spacing_mm=(0.5, 1 + i), patient=f"p{i // 2}", case=f"c{i}")
        )
    return cases


@settings(max_examples=200, deadline=None)
@given(cases=ragged())
def test_cases_come_back_as_they_went_in(toy_card, cases):
    store = Store.from_cases(cases, card=toy_card(), split="train")
    assert len(store) == len(cases)
    for i, case in enumerate(cases):
        back, raters = store[i], len(case.present)
        np.testing.assert_array_equal(back.image, case.image)
        np.testing.assert_array_equal(back.masks[:raters], case.masks)
        np.testing.assert_array_equal(back.present[:raters], case.present)
        assert not back.present[raters:].any()
        assert not back.masks[raters:].any()
        assert (back.patient, back.case, back.spacing_mm) == (case.patient, case.case, case.spacing_mm)


@settings(max_examples=200, deadline=None)
@given(cases=ragged(), data=st.data())
def test_a_batch_is_the_cases_stacked(toy_card, cases, data):
    store = Store.from_cases(cases, card=toy_card(), split="train")
    rows = data.draw(st.lists(st.integers(0, len(cases) - 1), min_size=1, max_size=8))
    batch = store.batch(rows)
    for i, row in enumerate(rows):
        assert torch.equal(batch.image[i], torch.from_numpy(store[row].image))
        assert torch.equal(batch.masks[i], torch.from_numpy(store[row].masks))
        assert torch.equal(batch.present[i], torch.from_numpy(store[row].present))
    assert (batch.image.dtype, batch.masks.dtype, batch.present.dtype) == (torch.float32, torch.uint8, torch.bool)
    assert batch.truth is None


@settings(max_examples=200, deadline=None)
@given(cases=ragged(), data=st.data())
def test_the_manifest_ignores_order_and_padding(toy_card, cases, data):
    shuffled = data.draw(st.permutations(cases))
    first = Store.from_cases(cases, card=toy_card(), split="train")
    second = Store.from_cases(shuffled, card=toy_card(title="Other words"), split="test", source="twin")
    padded = dataclasses.replace(
        first,
        masks=np.concatenate([first.masks, np.zeros_like(first.masks)], 1),
        present=np.concatenate([first.present, np.zeros_like(first.present)], 1),
    )
    assert first.manifest == second.manifest == padded.manifest


@pytest.mark.parametrize("field", ["image", "masks", "present", "truth", "spacing_mm", "patients", "cases"])
def test_the_manifest_sees_every_change_of_content(toy_store, field):
    store = toy_store(truth=True, raters=3)
    value = getattr(store, field)
    if isinstance(value, tuple):
        changed = ("other", *value[1:])
    elif field == "present":
        changed = value.copy()
        changed[0, 1] = False
    else:
        changed = value.copy()
        changed.flat[0] = 0.25 if changed.dtype.kind == "f" else 1 - changed.flat[0]
    assert dataclasses.replace(store, **{field: changed}).manifest != store.manifest


def test_absent_and_saw_nothing_are_told_apart(toy_case, toy_card):
    silent = toy_case(0, raters=2)
    silent.masks[1] = 0
    absent = dataclasses.replace(silent, present=np.array([True, False]))
    first, second = (Store.from_cases([case], card=toy_card(), split="train") for case in (silent, absent))
    assert first[0].present.tolist() == [True, True]
    assert second[0].present.tolist() == [True, False]
    assert first.manifest != second.manifest


def test_masks_of_absent_raters_are_zeroed(toy_case, toy_card):
    case = dataclasses.replace(toy_case(0, raters=2), present=np.array([False, True]))
    assert case.masks[0].any()
    assert not Store.from_cases([case], card=toy_card(), split="train")[0].masks[0].any()


@pytest.mark.parametrize(("raters", "size"), [(1, (6, 5)), (300, (3, 3)), (2, (1, 1))])
def test_one_rater_many_raters_and_a_single_pixel(toy_store, raters, size):
    store = toy_store(3, raters=raters, size=size)
    batch = store.batch([2, 0])
    assert batch.masks.shape == (2, raters, *size)
    assert batch.present.all()
    assert store[1].image.shape == (1, *size)


def test_what_a_store_gives_is_a_copy(toy_store):
    store = toy_store()
    before = store.manifest
    store[0].image[:] = 0
    store.batch([0]).image.zero_()
    assert dataclasses.replace(store).manifest == before


def test_truth_travels(toy_store, toy_case):
    store = toy_store(truth=True)
    np.testing.assert_array_equal(store[3].truth, toy_case(3, raters=1, truth=True).truth)
    assert store.batch([3, 1]).truth.shape == (2, 6, 5)


@pytest.mark.parametrize("rows", [[2, 3, 4], [4, 0, 2], [6]])
def test_a_subset_holds_the_chosen_cases(toy_store, rows):
    store = toy_store(truth=True)
    chosen = store.subset(rows)
    assert chosen.cases == tuple(f"c{i}" for i in rows)
    for i, row in enumerate(rows):
        for field in ("image", "masks", "present", "truth"):
            np.testing.assert_array_equal(getattr(chosen[i], field), getattr(store[row], field))
        assert (chosen[i].patient, chosen[i].spacing_mm) == (store[row].patient, store[row].spacing_mm)


def test_a_run_of_cases_is_a_view(toy_store):
    store = toy_store()
    assert np.shares_memory(store.subset([2, 3]).image, store.image)


def without_masks(store):
    return dataclasses.replace(store, masks=np.zeros_like(store.masks), present=np.zeros_like(store.present))


def test_a_store_without_masks_gives_images_and_refuses_cases(toy_store):
    bare = without_masks(toy_store())
    assert not bare.labeled
    assert toy_store().labeled
    assert torch.equal(bare.batch([1, 2]).image, toy_store().batch([1, 2]).image)
    assert not bare.batch([1, 2]).present.any()
    with pytest.raises(InputError, match="toy/train has no masks"):
        bare[0]


@pytest.mark.parametrize(
    ("index", "text"), [(-1, "index -1 is outside 0 .. 6"), (7, "index 7"), (1.0, "whole numbers")]
)
@pytest.mark.parametrize("ask", [lambda s, i: s[i], lambda s, i: s.batch([i, i]), lambda s, i: s.subset([i])])
def test_an_index_outside_is_refused(toy_store, ask, index, text):
    with pytest.raises(InputError, match=text):
        ask(toy_store(), index)


@pytest.mark.parametrize("rows", [[], np.zeros((1, 1), int)])
def test_an_empty_or_nested_choice_is_refused(toy_store, rows):
    with pytest.raises(InputError, match="wanted one or more"):
        toy_store().batch(rows)


def test_a_subset_takes_each_case_once(toy_store):
    with pytest.raises(InputError, match="'c1' occurs twice"):
        toy_store().subset([1, 1])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"image": np.zeros((2, 1, 6, 5))}, "image is float64"),
        ({"image": np.zeros((3, 1, 6, 5), np.float32)}, "wanted N = 2"),
        ({"masks": np.zeros((2, 3, 6, 4), np.uint8)}, "wanted W = 5"),
        ({"masks": np.zeros((2, 0, 6, 5), np.uint8), "present": np.zeros((2, 0), bool)}, "hold no rater"),
        ({"masks": np.zeros((2, 3, 6, 5), np.int64)}, "masks is int64"),
        ({"present": np.ones((2, 2), bool)}, "wanted R = 3"),
        ({"present": np.array([[True] * 3, [False] * 3])}, "case 'c1' has no rater and others have"),
        ({"truth": np.zeros((2, 5, 6), np.uint8)}, "truth has shape"),
        ({"spacing_mm": np.ones((2, 3))}, "wanted A = 2"),
        ({"patients": ("p0",)}, "1 patients for 2 cases"),
        ({"cases": ("c0", "c0")}, "case 'c0' occurs twice"),
        ({"source": "elsewhere"}, "wanted one of 'your copy'"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(toy_store, changes, text):
    with pytest.raises(InputError, match=text):
        dataclasses.replace(toy_store(2, raters=3), **changes)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c.image.__setitem__((0, 0, 0), np.nan), "'c1': image has 1 values that are NaN"),
        (lambda c: c.image.__setitem__((0, 0, 0), 1.5), "'c1': image runs from"),
        (lambda c: c.masks.__setitem__((0, 0, 0), 2), "'c1': masks run from 0 to 2; wanted whole labels 0 .. 1"),
    ],
)
def test_values_out_of_range_are_refused_by_case(toy_case, toy_card, change, text):
    cases = [toy_case(0), toy_case(1)]
    change(cases[1])
    with pytest.raises(InputError, match=text):
        Store.from_cases(cases, card=toy_card(), split="train")


def test_cases_that_differ_in_kind_are_refused(toy_case, toy_card):
    def build(*cases):
        return Store.from_cases(cases, card=toy_card(), split="train")

    with pytest.raises(InputError, match="no case was given"):
        build()
    with pytest.raises(InputError, match=r"'c1': image has shape \(1, 5, 5\) and the first case \(1, 6, 5\)"):
        build(toy_case(0), toy_case(1, size=(5, 5)))
    with pytest.raises(InputError, match="truth is given for some cases only"):
        build(toy_case(0, truth=True), toy_case(1))
    planes = np.zeros((1, 2, 3, 4), np.uint8)
    volume = Case(image=planes.astype(np.float32), masks=planes, present=np.ones(1, bool), spacing_mm=(1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="wanted 2D cases"):
        build(volume)


def test_a_spacing_that_nobody_knows_is_none(toy_card, toy_case):
    unknown = dataclasses.replace(toy_case(), spacing_mm=None)
    store = Store.from_cases([unknown], card=toy_card(spacing_known=False), split="train")
    assert store[0].spacing_mm is None
    assert store.spacing_mm.tolist() == [[1.0, 1.0]]
    for case, known in [(unknown, True), (toy_case(), False)]:
        with pytest.raises(InputError, match="the card says known"):
            Store.from_cases([case], card=toy_card(spacing_known=known), split="train")


def test_splits_join_in_order_and_raters_are_padded():
    first, second = disc_store(3, raters=2), disc_store(2, raters=3, split="validate")
    both = join([first, second])
    assert both.cases == first.cases + second.cases
    assert both.split == "train and validate"
    assert np.array_equal(both.image[3:], second.image)
    assert np.array_equal(both.masks[:3, :2], first.masks)
    assert not both.masks[:3, 2].any()
    assert np.array_equal(both.present, [[True, True, False]] * 3 + [[True] * 3] * 2)
    assert both.batch([0, 4]).masks.shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"source": "twin"}, "the source of store discs/validate is twin and of store discs/train memory"),
        ({"truth": None}, "a truth of store discs/validate is False and of store discs/train True"),
    ],
)
def test_splits_that_do_not_belong_together_are_not_joined(change, sentence):
    with pytest.raises(InputError, match=sentence):
        join([disc_store(2), dataclasses.replace(disc_store(2, split="validate"), **change)])
    with pytest.raises(InputError, match="the image size of"):
        join([disc_store(2), disc_store(2, size=32, split="validate")])
    with pytest.raises(InputError, match="no store was given"):
        join([])
