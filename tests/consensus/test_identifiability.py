"""Findings on labels whose truth is planted: each where it belongs, and none where the truth is identified."""

import warnings

import numpy as np
import pytest
import torch

from labutils.consensus.dawid_skene import dawid_skene
from labutils.consensus.identifiability import (
    MOST_RATERS,
    NotIdentifiedWarning,
    check_identifiability,
    warn_if_not_identified,
)
from labutils.core.checks import InputError
from labutils.core.runtime import numpy_rng_for, rng_for
from labutils.data.annotators import annotate
from labutils.data.digit_annotators import embedded_digits
from labutils.data.planted_sets import planted
from tests.consensus.simulated import even_errors, planted_raters

GOOD = even_errors([0.05, 0.1, 0.15, 0.2, 0.25], 2)


def drawn(raters, seed=0, cases=4):
    """uint8 masks (B, R, H, W) of planted matrices (R, 2, 2)."""
    return planted_raters(seed, raters, [0.7, 0.3], cases=cases)[0]


def digits(*annotators, cases=200):
    """uint8 masks (B, R, 28, 28) of the embedded digits."""
    truths = embedded_digits()[1][:cases]
    return torch.from_numpy(
        np.stack([annotate(one, annotators, numpy_rng_for(0, "digit", i)) for i, one in enumerate(truths)])
    )


def of_set(name, labels="all", cases=60):
    store = planted(name, "train", cases=cases, labels=labels).store
    return torch.from_numpy(store.masks), torch.from_numpy(store.present)


def names_of(found):
    return [finding.name for finding in found.findings]


@pytest.mark.parametrize("name", ["planted-global", "planted-pixel"])
def test_an_identified_truth_gives_no_finding(name):
    found = check_identifiability(*of_set(name), 2)
    assert found.findings == ()
    assert found.misfit_nats < 1e-4  # independent errors fit: four raters have numbers to spare
    assert found.cases == 60
    assert found.raters == (0, 1, 2, 3)


def test_several_classes_are_identified_too():
    masks, _ = planted_raters(0, even_errors([0.1, 0.2, 0.2, 0.3], 3), [0.5, 0.3, 0.2], cases=4)
    assert check_identifiability(masks, None, 3).findings == ()


def test_a_mask_that_all_share_is_flagged():
    found = check_identifiability(*of_set("planted-shared"), 2)
    assert names_of(found) == ["no-difference"]
    assert found.findings[0].numbers == {"differing": 0.0}


@pytest.mark.parametrize(("differing", "flagged"), [(0, True), (1, True), (4, False)])
def test_hardly_differing_is_a_share_of_what_was_marked(differing, flagged):
    masks = torch.zeros(1, 4, 20, 20, dtype=torch.uint8)
    masks[:, :, :10] = 1  # 200 pixels, of which the first rater leaves some out
    masks[0, 0, 0, :differing] = 0
    found = check_identifiability(masks, None, 2)
    assert ("no-difference" in names_of(found)) == flagged
    if flagged:
        assert found.findings[0].numbers["differing"] == differing / 200


def test_nobody_marked_anything():
    found = check_identifiability(torch.zeros(1, 4, 5, 5, dtype=torch.uint8), None, 2)
    assert names_of(found) == ["no-difference"]


def test_one_label_per_image():
    masks, present = of_set("planted-global", labels="one")
    found = check_identifiability(masks, present, 2)
    assert names_of(found) == ["one-label"]
    assert "only a network that sees the images may" in found.findings[0].sentence
    assert found.dependence_nats.isnan().all()
    assert np.isnan(found.misfit_nats)


@pytest.mark.parametrize(
    ("raters", "classes", "expected"),
    [(2, 2, ["few-raters"]), (3, 2, ["untestable"]), (4, 2, []), (3, 3, [])],
)
def test_raters_who_share_a_case(raters, classes, expected):
    masks, _ = planted_raters(
        1, even_errors([0.1, 0.15, 0.2, 0.25], classes)[:raters], [1 / classes] * classes, cases=4
    )
    assert names_of(check_identifiability(masks, None, classes)) == expected


def test_raters_count_where_they_share_a_case():
    masks = drawn(GOOD[:4], cases=4)
    pairs = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]], dtype=torch.bool)
    assert names_of(check_identifiability(masks, pairs, 2)) == ["few-raters"]


@pytest.mark.parametrize("first", ["good", "noisy"])
def test_bad_raters_make_a_rival_truth(first):
    """The likelihood prefers the rater who draws too much; the truth is not ruled out."""
    found = check_identifiability(digits(first, "over", "under", "wrong"), None, 2, names=[first, "over", "un", "wr"])
    assert names_of(found) == ["rival-truth", "dependent-errors"]
    finding = found.findings[0]
    numbers = finding.numbers
    assert -numbers["misfit_nats"] <= numbers["gain_nats"]
    assert numbers["dice"] < 0.9
    assert {int(numbers["rater"]), int(numbers["fitted_rater"])} == {0, 1}
    assert f"nearest to {first}" in finding.sentence
    assert "nearest to over" in finding.sentence
    assert "truth and noise can swap" in finding.sentence


def test_a_rater_who_swaps_the_classes_is_no_rival():
    """The swapped answer is as likely; that raters mostly say what is there rules it out."""
    swapped = GOOD.clone()
    swapped[0] = swapped[0].flip(0)
    found = check_identifiability(drawn(swapped), None, 2)
    assert found.findings == ()
    rival = found.answers[0]  # that rater taken to be right
    assert not rival.dominant
    assert rival.dice < 0.2
    assert rival.gain_nats == pytest.approx(0, abs=1e-4)


def test_raters_who_copy_are_dependent():
    masks = drawn(GOOD, seed=1)
    assert check_identifiability(masks, None, 2).findings == ()
    shared = torch.rand(masks[:, 0].shape, generator=rng_for(0, "copied")) < 0.8
    masks[:, 4] = torch.where(shared, masks[:, 3], masks[:, 4])
    found = check_identifiability(masks, None, 2)
    assert "dependent-errors" in names_of(found)
    assert found.findings[-1].numbers["first"] == 3
    assert found.findings[-1].numbers["second"] == 4


def test_dependence_is_a_divergence_of_tables():
    """Each pair's table of labels against that of Dawid-Skene's matrices, with absent raters."""
    masks = digits("noisy", "over", "under", "wrong", cases=30)
    present = torch.ones(30, 4, dtype=torch.bool)
    present[:10, 2] = False
    found = check_identifiability(masks, present, 2).dependence_nats
    fit = dawid_skene(masks, present, 2, pooled=True, tolerance=1e-6)
    for first, second in [(0, 1), (0, 2), (2, 3)]:
        both = present[:, first] & present[:, second]
        a, b = masks[both, first].flatten().long(), masks[both, second].flatten().long()
        observed = torch.bincount(2 * a + b, minlength=4).double().view(2, 2) / len(a)
        matrices = fit.confusion[both][0]
        predicted = matrices[first] @ fit.prior[0].diag() @ matrices[second].T
        kl = torch.where(observed > 0, observed * (observed / predicted).log(), 0.0).sum()
        assert found[first, second].item() == pytest.approx(kl.item(), abs=1e-9)
        torch.testing.assert_close(found[second, first], found[first, second])
    assert found.diagonal().isnan().all()


def test_most_raters_miss_the_object():
    sees = torch.tensor([[[0.98, 0.1], [0.02, 0.9]]], dtype=torch.float64).expand(2, 2, 2)
    misses = torch.tensor([[[0.99, 0.85], [0.01, 0.15]]], dtype=torch.float64).expand(3, 2, 2)
    found = check_identifiability(drawn(torch.cat([sees, misses])), None, 2)
    assert names_of(found) == ["most-are-wrong"]
    assert found.findings[0].numbers["class"] == 1
    # sensitivity .9, .9, .15, .15, .15: mean .45, so .1 below the miss
    assert found.findings[0].numbers["margin"] == pytest.approx(-0.1, abs=0.03)


def test_the_first_cases_are_looked_at():
    masks = torch.cat([drawn(GOOD, cases=3), torch.zeros(3, 5, 32, 32, dtype=torch.uint8)])
    found = check_identifiability(masks, None, 2, cases=3)
    alone = check_identifiability(masks[:3], None, 2)
    assert found.cases == 3
    assert found.misfit_nats == alone.misfit_nats


def test_of_many_raters_those_with_the_most_cases_are_looked_at():
    raters = MOST_RATERS + 3
    masks = drawn(even_errors([0.2] * raters, 2), cases=3)
    present = torch.ones(3, raters, dtype=torch.bool)
    present[0, [0, 4]] = False
    found = check_identifiability(masks, present, 2)
    assert found.raters == (1, 2, 3, 5, 6, 7, 8, 9)
    assert found.dependence_nats.shape == (MOST_RATERS, MOST_RATERS)
    assert found.findings == ()


def test_volumes_and_absent_labels():
    masks = drawn(GOOD)
    present = torch.ones(4, 5, dtype=torch.bool)
    present[0, 2] = False
    flat = check_identifiability(masks, present, 2)
    masks[0, 2] = 255  # never read
    deep = check_identifiability(masks.unflatten(2, (4, 8)), present, 2)
    assert deep.misfit_nats == flat.misfit_nats
    assert deep.findings == flat.findings


def test_each_finding_is_a_warning():
    masks = digits("noisy", "over", "under", "wrong")
    with pytest.warns(NotIdentifiedWarning, match="the truth is not identified") as caught:
        found = warn_if_not_identified(masks, None, 2)
    assert [str(one.message).removeprefix("the truth is not identified: ") for one in caught] == [
        finding.sentence for finding in found.findings
    ]
    assert {one.filename for one in caught} == {__file__}


def test_an_identified_truth_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_not_identified(drawn(GOOD), None, 2)


@pytest.mark.parametrize(
    ("masks", "settings", "says"),
    [
        (torch.zeros(2, 3, 4, 4), {}, "torch.uint8"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), {}, "axes"),
        (torch.full((2, 3, 4, 4), 2, dtype=torch.uint8), {}, "label 2"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), {"cases": 0}, "cases is 0"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), {"names": ["a"]}, "1 names are given for 3 raters"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), {"classes": 256}, "wanted 255 or fewer"),
    ],
)
def test_refusals(masks, settings, says):
    with pytest.raises(InputError, match=says):
        check_identifiability(masks, None, **({"classes": 2} | settings))
