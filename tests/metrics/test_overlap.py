"""Overlap of masks: hand-worked values, other implementations, and exact counts whatever the chunk."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.metrics import overlap
from labutils.metrics.overlap import (
    both_empty,
    dice,
    intersections,
    iou,
    jaccard_distance,
    pairwise_dice,
    pairwise_iou,
    self_iou,
)

EMPTY, ONE, TWO = [[0, 0], [0, 0]], [[1, 0], [0, 0]], [[1, 1], [0, 0]]


def masks(*rows):
    return torch.tensor(rows, dtype=torch.bool)


def draw(seed, shape, share=0.5):
    return torch.rand(shape, generator=rng_for(seed, "masks")) < share


def loop_iou(a, b):
    a, b = (set(np.flatnonzero(m.numpy())) for m in (a, b))
    return len(a & b) / len(a | b) if a | b else 1.0


@pytest.mark.parametrize(
    ("a", "b", "iou_", "dice_"),
    [(EMPTY, EMPTY, 1, 1), (EMPTY, ONE, 0, 0), (ONE, EMPTY, 0, 0), (ONE, TWO, 1 / 2, 2 / 3), (TWO, TWO, 1, 1)],
)
def test_by_hand(a, b, iou_, dice_):
    a, b = masks(a), masks(b)
    assert iou(a, b).tolist() == [iou_]
    assert dice(a, b).tolist() == [dice_]
    assert jaccard_distance(a, b).tolist() == [1 - iou_]
    assert iou(a, b).dtype == dice(a, b).dtype == torch.float64
    assert pairwise_iou(a[None], b[None]).tolist() == [[[iou_]]]
    assert pairwise_dice(a[None], b[None]).tolist() == [[[dice_]]]


def test_both_empty_counts_the_cases_scored_by_rule():
    a, b = masks(EMPTY, EMPTY, ONE, ONE), masks(EMPTY, ONE, EMPTY, TWO)
    assert both_empty(a, b).tolist() == [True, False, False, False]


@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (2, 3, 4, 7, 5)])
def test_pairwise_equals_single_pairs_and_scikit_learn(shape):
    a, b = draw(0, shape), draw(1, (shape[0], 4, *shape[2:]))
    found, found_dice = pairwise_iou(a, b), pairwise_dice(a, b)
    for i in range(shape[1]):
        for j in range(4):
            np.testing.assert_array_equal(found[:, i, j], iou(a[:, i], b[:, j]))
            np.testing.assert_array_equal(found_dice[:, i, j], dice(a[:, i], b[:, j]))
            for case in range(shape[0]):
                pair = a[case, i].flatten().numpy(), b[case, j].flatten().numpy()
                assert found[case, i, j] == pytest.approx(jaccard_score(*pair), abs=1e-15)
                assert found_dice[case, i, j] == pytest.approx(f1_score(*pair), abs=1e-15)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    count=st.sampled_from([1, 2, 5, 300]),
    size=st.sampled_from([(1, 1), (3, 4), (2, 3, 3)]),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_bits_loop_and_product_agree_exactly(count, size, share, seed):
    a, b = draw(seed, (1, count, *size), share), draw(seed + 1, (1, 2, *size), share)
    found = pairwise_iou(a, b)[0]
    packed_a, packed_b = (np.packbits(m[0].flatten(1).numpy(), axis=1) for m in (a, b))
    both = np.bitwise_count(packed_a[:, None] & packed_b).sum(axis=-1, dtype=np.int64)
    union = np.bitwise_count(packed_a[:, None] | packed_b).sum(axis=-1, dtype=np.int64)
    np.testing.assert_array_equal(found, np.where(union > 0, both / np.maximum(union, 1), 1.0))
    np.testing.assert_array_equal(found[0], [loop_iou(a[0, 0], m) for m in b[0]])
    np.testing.assert_array_equal(found, pairwise_iou(b, a)[0].T)
    assert ((found >= 0) & (found <= 1)).all()


def test_self_iou_is_pairwise_with_itself():
    a = draw(3, (2, 5, 6, 7), 0.3)
    np.testing.assert_array_equal(self_iou(a), pairwise_iou(a, a))
    assert (self_iou(a).diagonal(dim1=1, dim2=2) == 1).all()


@pytest.mark.parametrize("chunk", [1, 7, 64, 10**6])
def test_chunks_do_not_change_counts(chunk, monkeypatch):
    a, b = draw(4, (2, 3, 9, 9)), draw(5, (2, 4, 9, 9))
    counts = [x.clone() for x in intersections(a, b)]
    whole = self_iou(a)
    monkeypatch.setattr(overlap, "_CHUNK_PX", chunk)
    for found, expected in zip(intersections(a, b), counts, strict=True):
        assert found.dtype == torch.int64
        assert torch.equal(found, expected)
    assert torch.equal(self_iou(a), whole)


def test_a_chunk_is_small_enough_for_exact_float32():
    assert overlap._CHUNK_PX < 2**24
    one = torch.ones(1, 1, 300, 300, dtype=torch.bool)  # more pixels than a chunk, all set: nothing may be lost
    assert intersections(one, one)[0].item() == 90_000 > overlap._CHUNK_PX


def test_autocast_does_not_round_counts():
    a = draw(6, (1, 3, 64, 64))
    expected = intersections(a, a)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(intersections(a, a)[0], expected)


def test_views_and_inputs_are_left_alone():
    a = draw(7, (1, 4, 6, 6))
    before = a.clone()
    turned = a.transpose(2, 3)
    assert torch.equal(self_iou(turned), self_iou(turned.contiguous()))
    assert torch.equal(a, before)
    expanded = a[:, :1].expand(1, 3, 6, 6)
    assert (self_iou(expanded) == 1).all()


OK = torch.ones(2, 2, 3, 3, dtype=torch.bool)


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (OK, OK[:1], "second axis"),
        (OK, OK[..., :2], "second axis"),
        (OK, OK.float(), "torch.bool"),
        (OK[:, 0], OK, "axes"),
        (OK[:, :0], OK, "at least one"),
        (OK[..., :0], OK[..., :0], "no pixel"),
    ],
)
def test_pairwise_refusals(a, b, says):
    with pytest.raises(InputError, match=says):
        pairwise_iou(a, b)


@pytest.mark.parametrize("metric", [iou, dice, jaccard_distance, both_empty])
def test_single_pair_refusals(metric):
    with pytest.raises(InputError, match="must be equal"):
        metric(OK, OK[:1])
    with pytest.raises(InputError, match=r"torch\.bool"):
        metric(OK.float(), OK.float() * torch.nan)
    with pytest.raises(InputError, match="pixels"):
        metric(OK[..., :0], OK[..., :0])


@pytest.mark.gpu
def test_gpu_gives_the_same_bits():
    a, b = draw(8, (2, 5, 300, 300)), draw(9, (2, 3, 300, 300))
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert torch.equal(pairwise_iou(a.cuda(), b.cuda()).cpu(), pairwise_iou(a, b))
