import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import InputError
from labutils.data.loading import all_batches, epoch_batches, steps_per_epoch


def numbered(store):
    """The store with each image's brightness telling its case: 0, 1/n, 2/n, ..."""
    levels = np.arange(len(store), dtype=np.float32) / len(store)
    return dataclasses.replace(store, image=np.broadcast_to(levels[:, None, None, None], store.image.shape).copy())


def numbers(batches, n):
    return [round(float(image.max()) * n) for batch in batches for image in batch.image]


def same(first, second):
    first, second = list(first), list(second)
    return len(first) == len(second) and all(
        torch.equal(a.image, b.image) and torch.equal(a.masks, b.masks) and torch.equal(a.present, b.present)
        for a, b in zip(first, second, strict=True)
    )


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 11), batch_size=st.integers(1, 12), epoch=st.integers(0, 3), augment=st.booleans())
def test_an_epoch_holds_every_case_once(toy_store, n, batch_size, epoch, augment):
    store = numbered(toy_store(n, size=(3, 3)))
    batches = list(epoch_batches(store, batch_size, seed=1, epoch=epoch, augment=augment))
    assert sorted(numbers(batches, n)) == list(range(n))
    assert len(batches) == steps_per_epoch(n, batch_size)
    assert all(len(batch.image) == batch_size for batch in batches[:-1])


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 9), batch_size=st.integers(1, 5), data=st.data())
def test_a_resumed_epoch_sees_the_batches_it_would_have_seen(toy_store, n, batch_size, data):
    store = toy_store(n, size=(3, 3))
    start = data.draw(st.integers(0, steps_per_epoch(n, batch_size)))
    whole = list(epoch_batches(store, batch_size, seed=5, epoch=2))
    assert same(epoch_batches(store, batch_size, seed=5, epoch=2, start=start), whole[start:])


def test_seed_and_epoch_decide_order_and_symmetries(toy_store):
    store = toy_store(16, size=(5, 5))

    def epoch(**settings):
        return epoch_batches(store, 4, **({"seed": 0, "epoch": 0} | settings))

    assert same(epoch(), epoch())
    assert not same(epoch(), epoch(seed=1))
    assert not same(epoch(), epoch(epoch=1))
    plain = torch.cat([batch.image for batch in epoch(augment=False)])
    turned = torch.cat([batch.image for batch in epoch()])
    assert torch.equal(plain.flatten(1).sort().values, turned.flatten(1).sort().values)  # same order of cases
    assert not torch.equal(plain, turned)


def test_skipped_batches_are_not_computed(toy_store, monkeypatch):
    store, asked = toy_store(9), []
    gather = type(store).batch
    monkeypatch.setattr(type(store), "batch", lambda self, rows: asked.append(len(rows)) or gather(self, rows))
    assert len(list(epoch_batches(store, 2, seed=0, epoch=0, start=3))) == 2
    assert asked == [2, 1]


def test_images_that_are_not_square_are_only_flipped(toy_store):
    store = toy_store(20, size=(2, 5))
    for batch in epoch_batches(store, 6, seed=0, epoch=0):
        assert batch.image.shape[-2:] == (2, 5)


def test_images_without_masks_can_be_loaded(toy_store):
    store = toy_store(5, size=(3, 3))
    bare = dataclasses.replace(store, masks=np.zeros_like(store.masks), present=np.zeros_like(store.present))
    assert sum(len(batch.image) for batch in epoch_batches(bare, 2, seed=0, epoch=0)) == 5


def test_all_batches_keep_order_and_pixels(toy_store):
    store = toy_store(7, truth=True)
    batches = list(all_batches(store, 3))
    assert [len(batch.image) for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(torch.cat([batch.image for batch in batches]), store.image)
    np.testing.assert_array_equal(torch.cat([batch.truth for batch in batches]), store.truth)


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"epoch": -1}, {"start": 4}, {"start": -1}])
def test_sizes_out_of_range_are_refused_before_the_first_batch(toy_store, settings):
    settings = {"batch_size": 3, "seed": 0, "epoch": 0} | settings
    with pytest.raises(InputError, match="wanted"):
        epoch_batches(toy_store(7), settings.pop("batch_size"), **settings)


def test_all_batches_refuses_a_size_of_nothing(toy_store):
    with pytest.raises(InputError, match="batches of 0"):
        all_batches(toy_store(2), 0)
