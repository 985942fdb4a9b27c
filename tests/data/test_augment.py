import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data.augment import (
    _copied,
    _gathered,
    apply_symmetries,
    draw_symmetries,
    inverse_symmetries,
)

SQUARE = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)
BY_HAND = {  # code: what becomes of rows (1 2), (3 4)
    0: [[1, 2], [3, 4]],
    1: [[3, 4], [1, 2]],  # rows reversed
    2: [[2, 1], [4, 3]],  # columns reversed
    3: [[4, 3], [2, 1]],  # half a turn
    4: [[1, 3], [2, 4]],  # rows and columns swapped
    5: [[2, 4], [1, 3]],  # a quarter turn one way
    6: [[3, 1], [4, 2]],  # a quarter turn the other way
    7: [[4, 2], [3, 1]],
}


def batch_of(b, r, h, w, *, truth=True, channels=1, seed=0):
    rng = rng_for(seed, "batch")
    return Batch(
        torch.rand((b, channels, h, w), generator=rng),
        torch.randint(0, 2, (b, r, h, w), generator=rng, dtype=torch.uint8),
        torch.rand((b, r), generator=rng) < 0.5,
        torch.randint(0, 2, (b, h, w), generator=rng, dtype=torch.uint8) if truth else None,
    )


def equal(a, b):
    return all((x is None and y is None) or torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("code", BY_HAND)
def test_each_symmetry_by_hand(code):
    batch = Batch(SQUARE[None, None] / 4, SQUARE[None, None], torch.ones(1, 1, dtype=torch.bool), SQUARE[None])
    out = apply_symmetries(batch, torch.tensor([code]))
    assert out.truth[0].tolist() == BY_HAND[code]
    assert out.masks[0, 0].tolist() == BY_HAND[code]
    assert (out.image[0, 0] * 4).tolist() == BY_HAND[code]


@settings(max_examples=200, deadline=None)
@given(
    codes=st.lists(st.integers(0, 7), min_size=1, max_size=9),
    size=st.integers(1, 6),
    raters=st.integers(1, 4),
    channels=st.integers(1, 3),
    truth=st.booleans(),
)
def test_the_inverse_gives_back_every_bit(codes, size, raters, channels, truth):
    batch, drawn = batch_of(len(codes), raters, size, size, truth=truth, channels=channels), torch.tensor(codes)
    back = apply_symmetries(apply_symmetries(batch, drawn), inverse_symmetries(drawn))
    assert equal(back, batch)
    assert torch.equal(inverse_symmetries(inverse_symmetries(drawn)), drawn)


@settings(max_examples=100, deadline=None)
@given(codes=st.lists(st.integers(0, 3), min_size=1, max_size=5), height=st.integers(1, 5), width=st.integers(1, 5))
def test_flips_keep_images_that_are_not_square(codes, height, width):
    batch, drawn = batch_of(len(codes), 2, height, width), torch.tensor(codes)
    out = apply_symmetries(batch, drawn)
    assert out.image.shape == batch.image.shape
    assert equal(apply_symmetries(out, drawn), batch)


def test_image_raters_and_truth_move_together():
    batch = batch_of(8, 3, 5, 5)
    marked = batch._replace(image=batch.truth[:, None].float(), masks=batch.truth[:, None].expand(-1, 3, -1, -1))
    out = apply_symmetries(marked, torch.arange(8))
    assert torch.equal(out.image[:, 0], out.truth.float())
    for rater in range(3):
        assert torch.equal(out.masks[:, rater], out.truth)


def test_presence_stays_and_the_input_is_not_changed():
    batch = batch_of(4, 3, 5, 5)
    before = [None if t is None else t.clone() for t in batch]
    out = apply_symmetries(batch, torch.tensor([1, 4, 5, 7]))
    assert torch.equal(out.present, batch.present)
    assert equal(batch, before)
    assert out.image.is_contiguous()


def test_the_two_ways_of_applying_agree():
    for maps in (torch.rand(8, 2, 5, 5), torch.randint(0, 5, (8, 3, 5, 5), dtype=torch.uint8), torch.rand(8, 5, 5)):
        assert torch.equal(_copied(maps, list(range(8))), _gathered(maps, list(range(8))))


@pytest.mark.gpu
def test_a_gpu_gives_the_same():
    batch, drawn = batch_of(8, 3, 6, 6), torch.arange(8)
    assert equal(apply_symmetries(batch.to("cuda"), drawn).to("cpu"), apply_symmetries(batch, drawn))


def test_draws_are_even_and_repeat():
    drawn = draw_symmetries(8000, rng_for(0, "draw"))
    counts = torch.bincount(drawn, minlength=8)
    assert (counts - 1000).abs().max() < 5 * (8000 * 7 / 64) ** 0.5  # 5 standard deviations
    assert torch.equal(drawn, draw_symmetries(8000, rng_for(0, "draw")))
    flips = draw_symmetries(1000, rng_for(0, "draw"), square=False)
    assert flips.unique().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("drawn", "size", "text"),
    [
        ([0, 8], (3, 3), "wanted codes 0 to 7"),
        ([0, -1], (3, 3), "wanted codes 0 to 7"),
        ([0], (3, 3), "wanted B = 2"),
        ([0, 4], (3, 4), "3 x 4 pixels are not square"),
    ],
)
def test_symmetries_that_do_not_fit_are_refused(drawn, size, text):
    with pytest.raises(InputError, match=text):
        apply_symmetries(batch_of(2, 1, *size), torch.tensor(drawn))
