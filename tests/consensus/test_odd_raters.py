"""Raters who lie elsewhere: hand-worked pixels, what mends them, what is never called odd, and real raters."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labutils.consensus.dawid_skene import dawid_skene
from labutils.consensus.fuse import WAYS, fuse
from labutils.consensus.majority import majority
from labutils.consensus.odd_raters import CASES, OddRaterWarning, odd_raters, odd_sentences, warn_of_odd_raters
from labutils.consensus.staple import staple
from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.data import catalog


def row(*raters):
    """bool (R, 1, W): each rater is a string such as "##..", # for a marked pixel."""
    return torch.tensor([[[pixel == "#" for pixel in rater]] for rater in raters])


def told(found):
    return [[round(value, 4) for value in field.tolist()] for field in found[:3]]


def corner(*shape, extent=(1, 3, 2)):
    """bool (shape): an L at the origin, which no flip or swap of axes leaves as it is."""
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[tuple(slice(0, n) for n in extent[-len(shape) :])] = True
    mask[(0,) * (len(shape) - 1)] = torch.arange(shape[-1]) < 4
    return mask


FAR = row("##..", "##..", "..##")
NEAR = row("###.", "##..", ".#..")


def test_agreement_by_hand():
    # Dice: 6/... of 3 and 2 pixels sharing 2: 4/5; of 3 and 1 sharing 1: 1/2; of 2 and 1 sharing 1: 2/3
    found = odd_raters(NEAR)
    assert told(found) == [
        [round((4 / 5 + 1 / 2) / 2, 4), round((4 / 5 + 2 / 3) / 2, 4), round((1 / 2 + 2 / 3) / 2, 4)],
        [0.5, 0.6667, 0.6667],  # the strict majority of two others is what both marked
        [0.6667, 0.5, 0.8],
    ]
    assert not found.odd.any()
    assert found.remedies == {}


def test_the_far_rater_is_odd_and_a_flip_mends_it():
    found = odd_raters(FAR)
    assert told(found) == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert found.odd.tolist() == [False, False, True]
    assert found.remedies[2] == ((0, 1), (1,), (0, 0), 1.0)
    assert str(found.remedies[2]) == "flipping axis 1 gives 1.000"


def test_the_line_is_strict():
    masks = row("####......", "####......", "...#######")  # Dice of the third: 2/11, of the others: 1
    assert not odd_raters(masks, fraction=2 / 11).odd.any()
    assert odd_raters(masks, fraction=2 / 11 + 1e-9).odd.tolist() == [False, False, True]


CHANGES = {
    "flip": (lambda m: m.flip(0, 2), ((0, 1, 2), (0, 2), (0, 0, 0)), "flipping axes 0 and 2 gives 1.000"),
    "swap": (
        lambda m: m.transpose(1, 2),
        ((0, 2, 1), (), (0, 0, 0)),
        "taking the axes in the order (0, 2, 1) gives 1.",
    ),
    "both": (
        lambda m: m.transpose(1, 2).flip(0),
        ((0, 2, 1), (0,), (0, 0, 0)),
        "taking the axes in the order (0, 2, 1) and flipping axis 0 gives",
    ),
    "shift": (lambda m: m.roll((1, 2, 3), (0, 1, 2)), ((0, 1, 2), (), (-1, -2, -3)), "shifting by (-1, -2, -3) pixels"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_planted_change_is_undone(name):
    change, expected, words = CHANGES[name]
    good = corner(3, 9, 9, extent=(1, 6, 1) if name in ("swap", "both") else (1, 3, 2))
    masks = torch.stack([good, change(good), good])
    found = odd_raters(masks, fraction=0.8)
    assert found.odd.tolist() == [False, True, False]
    assert found.remedies[1][:3] == expected
    assert found.remedies[1].dice == 1
    assert words in str(found.remedies[1])


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_remedy_reads_as_numpy_does(order):
    good = torch.zeros(7, 7, 7, dtype=torch.bool)
    good[0, 0, :5] = good[0, :3, 0] = good[:2, 0, 6] = True
    moved = good.flip(1).permute(order).flip(0, 2)
    found = odd_raters(torch.stack([good, good, moved]), fraction=0.9)
    axes, flipped, _, dice = found.remedies[2]
    assert dice == 1
    np.testing.assert_array_equal(np.flip(np.transpose(moved.numpy(), axes), flipped), good.numpy())


def test_axes_of_other_sizes_are_not_swapped():
    masks = torch.stack([corner(9, 8), corner(9, 8), corner(9, 8).flip(0)])
    assert odd_raters(masks).remedies[2].axes == (0, 1)


def test_a_mask_of_another_form_is_not_mended():
    masks = row("##......##", "##......##", "...#......")
    found = odd_raters(masks)
    assert found.odd.tolist() == [False, False, True]
    assert found.remedies == {}
    with pytest.warns(OddRaterWarning, match=r"rater 2 of case 0 .* no flip, swap of axes or shift mends it"):
        warn_of_odd_raters(masks[None])


@pytest.mark.parametrize(
    ("masks", "present", "nan_to_others", "nan_among"),
    [
        (row("##.."), None, [1], [1]),  # one rater
        (row("##..", "..##"), None, [0, 0], [1, 1]),  # of two that differ neither is odd
        (row("##..", "..##", "...."), None, [0, 0, 1], [1, 1, 1]),  # an empty mask is no third
        (row("....", "....", "...."), None, [1, 1, 1], [1, 1, 1]),
        (row("##..", "##..", "##..", "...."), None, [0, 0, 0, 1], [0, 0, 0, 1]),  # saw nothing: not odd
        (row("##..", "##..", "..##"), [1, 0, 1], [0, 1, 0], [1, 1, 1]),  # absent
        (row("##..", "..##", ".#.#"), None, [0, 0, 0], [0, 0, 0]),  # everybody elsewhere
    ],
)
def test_who_cannot_be_odd(masks, present, nan_to_others, nan_among):
    found = odd_raters(masks, None if present is None else torch.tensor(present) == 1)
    assert not found.odd.any()
    assert found.to_others.isnan().int().tolist() == nan_to_others
    assert found.to_majority.isnan().int().tolist() == nan_to_others
    assert found.among_others.isnan().int().tolist() == nan_among


def test_absent_and_empty_raters_change_nothing():
    masks = torch.cat([FAR[:1], ~FAR[:1], FAR[1:], torch.zeros_like(FAR[:1])])
    found = odd_raters(masks, torch.tensor([True, False, True, True, True]))
    assert told(odd_raters(FAR)) == [[values[r] for r in (0, 2, 3)] for values in told(found)]
    assert found.odd.tolist() == [False, False, False, True, False]


@given(seed=st.integers(0, 10**6), raters=st.integers(3, 7))
def test_the_order_of_raters_does_not_matter(seed, raters):
    rng = rng_for(seed, "odd")
    masks = torch.rand(raters, 6, 6, generator=rng) < 0.3
    order = torch.randperm(raters, generator=rng)
    first, second = odd_raters(masks, fraction=0.9), odd_raters(masks[order], fraction=0.9)
    for a, b in zip(first[:3], second[:3], strict=True):
        torch.testing.assert_close(a[order], b, equal_nan=True)


def test_good_raters_of_one_disc_are_not_odd():
    grid = torch.arange(40) - 19.5
    radii = torch.tensor([8.0, 9.0, 10.0, 11.0, 12.0])
    discs = (grid[:, None] ** 2 + grid**2) < radii[:, None, None] ** 2
    noise = torch.rand(5, 40, 40, generator=rng_for(0, "noise")) < 0.05
    assert not odd_raters(discs ^ noise).odd.any()


def by_other_means(masks, by):
    if by == "staple":
        return staple(masks).probability >= 0.5
    if by == "dawid_skene":
        return dawid_skene(masks.byte(), None, 2).probability.argmax(dim=1) == 1
    if by in ("union", "intersection"):
        return masks.any(dim=1) if by == "union" else masks.all(dim=1)
    return majority(masks.byte(), None, 2, by) == 1


@pytest.mark.parametrize("by", WAYS)
def test_fusing_warns_and_fuses_all_the_same(by):
    masks = torch.stack([NEAR, FAR])
    expected = by_other_means(masks, by)
    with pytest.warns(
        OddRaterWarning, match=r"^C of case 1 has a mean Dice of 0\.000 .* 1\.000 among .*axis 1"
    ) as seen:
        fused = fuse(masks, by=by, names=["A", "B", "C"])
    assert [one.filename for one in seen] == [__file__]
    assert torch.equal(fused, expected)
    fuse(masks[:1], by=by)  # a warning would be an error here


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: odd_raters(FAR[0, 0]), "wanted axes"),
        (lambda: odd_raters(FAR.byte()), "torch.bool"),
        (lambda: odd_raters(FAR[..., :0]), "no pixel"),
        (lambda: odd_raters(FAR[:0]), "at least one"),
        (lambda: odd_raters(FAR, torch.zeros(3, dtype=torch.bool)), "no rater present"),
        (lambda: odd_raters(FAR, fraction=0), "fraction is 0"),
        (lambda: odd_raters(FAR, fraction=1.5), "fraction is 1.5"),
        (lambda: fuse(FAR), "wanted axes"),
        (lambda: fuse(FAR[None], by="mean"), "by is 'mean'; wanted one of 'staple', 'dawid_skene'"),
        (lambda: fuse(FAR[None], names=["A"]), "1 names are given for 3 raters"),
        (lambda: fuse(FAR[None, :1], by="dawid_skene"), "case 0 has one rater"),
    ],
)
def test_refusals(call, says):
    with pytest.raises(InputError, match=says):
        call()


# dataset and split: cases with three raters who drew, and how often each rater of them is odd
REAL = {
    ("lidc-crops", "train"): (427, [0, 0, 0, 0]),
    ("lidc-crops", "validate"): (109, [0, 0, 0, 0]),
    ("lidc-four", "train"): (15, [0, 0, 0, 0]),
    # too thin: less than a tenth of the digit's ink is left; the annotator "wrong" stays near enough never to be odd
    ("mnist-annotators", "train"): (101, [0, 0, 4, 0]),
    ("mnist-annotators", "validate"): (21, [0, 0, 1, 0]),
    ("bubil-crowd-4", "validate"): (17, [0, 0, 0, 0, 0, 0, 1]),  # that worker marked another cell
    ("bubil-crowd-6", "train"): (35, [0] * 7),
}


@pytest.mark.data
@pytest.mark.parametrize(("name", "split"), REAL)
def test_alarms_on_real_raters(name, split):
    store = catalog.load(name, split)
    found = [
        odd_raters(torch.from_numpy(np.array(masks)) == 1, torch.from_numpy(present))
        for masks, present in zip(store.masks, store.present, strict=True)
    ]
    tested = sum(not bool(one.among_others.isnan().all()) for one in found)
    assert (tested, torch.stack([one.odd for one in found]).sum(dim=0).tolist()) == REAL[name, split]


def test_a_dataset_s_odd_raters_are_told_where_files_may_be_at_fault():
    """Told: what a flip would mend, once; what lies elsewhere half of the time. Not told: a bad rater now and then."""
    shifted = row("##..", "##..", "..##")
    unlike = row("##########..", "##########..", "...........#")
    good = row("##..", "##..", "##..")
    elsewhere = "rater 2 drew elsewhere than the others in"
    several = torch.stack([good, good, shifted, good])
    (note,) = odd_sentences(several)
    assert note == f"{elsewhere} 1 of 4 cases looked at; in one of them flipping axis 1 gives 1.000"
    assert odd_sentences(several, torch.tensor([[True] * 3, [False] * 3, [True, True, False], [True] * 3])) == []
    same = row("##########..", "##########..", "##########..")
    assert not odd_raters(unlike).remedies
    assert odd_sentences(torch.stack([unlike, same, same])) == []
    assert odd_sentences(torch.stack([unlike, same])) == [
        "rater 2 drew elsewhere than the others in 1 of 2 cases looked at"
    ]
    assert odd_sentences(torch.stack([good] * CASES + [shifted])) == []
