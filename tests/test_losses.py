"""Losses: values by hand, signs, gradients."""

import math

import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.losses import (
    coin_length_mean,
    coin_vote,
    cross_entropy_mean,
    hard_pixels,
    joint_nll_mean,
    kl_normal,
    labels_nll_mean,
    soft_dice_loss_mean,
)


def two_pixels(p, q):
    """Logits and target of two pixels whose foreground probabilities are p and q: (1, 2, 1, 2)."""
    return torch.tensor([[1 - p, 1 - q], [p, q]])[None, :, None, :]


def test_cross_entropy_by_hand():
    logits = two_pixels(0.25, 0.5).log()
    target = two_pixels(1.0, 0.5)
    by_hand = (-math.log(0.25) - math.log(0.5)) / 2
    assert cross_entropy_mean(logits, target).item() == pytest.approx(by_hand)


def test_cross_entropy_does_not_care_about_a_shift_of_the_logits():
    logits, target = torch.randn(2, 3, 4, 4), torch.full((2, 3, 4, 4), 1 / 3)
    assert torch.allclose(cross_entropy_mean(logits, target), cross_entropy_mean(logits + 7, target), atol=1e-5)


def test_the_best_answer_to_a_soft_target_is_the_target_itself():
    target = two_pixels(0.25, 0.75)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    best = cross_entropy_mean(target.log(), target)
    assert best.item() == pytest.approx(entropy)
    for other in (0.2, 0.3):
        assert cross_entropy_mean(two_pixels(other, 0.75).log(), target) > best


def test_dice_by_hand():
    logits, target = two_pixels(0.5, 0.5).log(), two_pixels(1.0, 0.0)
    assert soft_dice_loss_mean(logits, target, smooth=0.0).item() == pytest.approx(1 - 2 * 0.5 / 2)
    assert soft_dice_loss_mean(logits, target, smooth=1.0).item() == pytest.approx(1 - 2 / 3)


def test_dice_of_two_empty_masks_is_perfect():
    logits = torch.tensor([40.0, -40.0])[None, :, None, None].expand(1, 2, 3, 3)
    target = two_pixels(0.0, 0.0)[..., :1].expand(1, 2, 3, 3)
    assert soft_dice_loss_mean(logits, target).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("loss", [cross_entropy_mean, soft_dice_loss_mean])
def test_going_down_the_gradient_raises_the_probability_of_the_truth(loss):
    logits = torch.zeros(1, 2, 1, 2, requires_grad=True)
    target = two_pixels(1.0, 0.0)
    loss(logits, target).backward()
    after = torch.softmax(logits - logits.grad, dim=1)[0, 1, 0]
    assert after[0] > 0.5 > after[1]


@pytest.mark.parametrize("loss", [cross_entropy_mean, soft_dice_loss_mean])
def test_gradients_agree_with_differences(loss):
    logits = torch.randn(2, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = torch.softmax(torch.randn(2, 3, 2, 2, dtype=torch.float64), dim=1)
    free = logits.clone().requires_grad_()
    loss(free, target).backward()
    step = torch.zeros_like(logits)
    step[1, 2, 0, 1] = 1e-2
    slope = (loss(logits + step, target) - loss(logits - step, target)) / 2e-2
    assert slope.item() == pytest.approx(free.grad[1, 2, 0, 1].item(), rel=2e-2)


@pytest.mark.parametrize("loss", [cross_entropy_mean, soft_dice_loss_mean])
def test_each_case_counts_alike_whatever_the_batch(loss):
    logits, target = torch.randn(4, 2, 3, 3), torch.softmax(torch.randn(4, 2, 3, 3), dim=1)
    one_by_one = torch.stack([loss(logits[i : i + 1], target[i : i + 1]) for i in range(4)]).mean()
    assert torch.allclose(loss(logits, target), one_by_one, atol=1e-6)


@pytest.mark.parametrize("loss", [cross_entropy_mean, soft_dice_loss_mean])
def test_shapes_that_differ_are_refused(loss):
    with pytest.raises(InputError, match="must be equal"):
        loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 4))


FOREGROUND = torch.tensor([0.9, 0.6, 0.2]).view(1, 1, 1, 3)
PROBS = torch.cat([1 - FOREGROUND, FOREGROUND], dim=1)  # (1, 2, 1, 3)
MASKS = torch.tensor([[1, 1, 0], [1, 0, 0]], dtype=torch.uint8)[None, :, None]  # two raters
BOTH = torch.ones(1, 2, dtype=torch.bool)


def test_the_likelihood_of_labels_by_hand():
    said = PROBS.log()[:, None].expand(-1, 2, -1, -1, -1)
    first, second = (0.9, 0.6, 0.8), (0.9, 0.4, 0.8)
    by_hand = -sum(math.log(p) for p in first + second) / 6
    assert labels_nll_mean(said, MASKS, BOTH).item() == pytest.approx(by_hand)
    alone = torch.tensor([[True, False]])
    assert labels_nll_mean(said, MASKS, alone).item() == pytest.approx(-sum(math.log(p) for p in first) / 3)
    with pytest.raises(InputError, match="masks has shape"):
        labels_nll_mean(said, MASKS[..., :2], BOTH)


def test_the_joint_likelihood_by_hand():
    """One pixel, truth (0.4, 0.6), both raters with the matrix [[0.9, 0.2], [0.1, 0.8]], labels 1 and 0."""
    log_probs = torch.tensor([0.4, 0.6]).log().view(1, 2, 1, 1)
    matrix = torch.tensor([[0.9, 0.2], [0.1, 0.8]]).log().view(1, 1, 2, 2, 1, 1).expand(1, 2, -1, -1, -1, -1)
    masks = torch.tensor([1, 0], dtype=torch.uint8).view(1, 2, 1, 1)
    by_hand = -math.log(0.4 * 0.1 * 0.9 + 0.6 * 0.8 * 0.2) / 2
    assert joint_nll_mean(log_probs, matrix, masks, BOTH).item() == pytest.approx(by_hand)


def test_with_one_rater_a_case_the_joint_likelihood_is_the_marginal_one():
    rng = torch.Generator().manual_seed(0)
    log_probs = torch.randn(3, 2, 4, 5, generator=rng).log_softmax(dim=1)
    log_matrices = torch.randn(3, 2, 2, 2, 4, 5, generator=rng).log_softmax(dim=2)
    masks = torch.randint(2, (3, 2, 4, 5), generator=rng, dtype=torch.uint8)
    one = torch.tensor([[True, False], [False, True], [True, False]])
    said = torch.logsumexp(log_probs[:, None, None] + log_matrices, dim=3)
    assert torch.allclose(joint_nll_mean(log_probs, log_matrices, masks, one), labels_nll_mean(said, masks, one))


def entropy(p):
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_the_length_of_coins_by_hand():
    """Errors (0.1, 0.4, 0.2) and (0.1, 0.6, 0.2): shares 7/30 and 3/10, a coin each; together 4/15."""
    by_hand = (entropy(0.7 / 3) + entropy(0.3)) / 2
    assert coin_length_mean(PROBS, MASKS, BOTH).item() == pytest.approx(by_hand)
    assert coin_length_mean(PROBS, MASKS, BOTH, identified=False).item() == pytest.approx(entropy(0.8 / 3))
    alone = torch.tensor([[True, False]])
    assert coin_length_mean(PROBS, MASKS, alone).item() == pytest.approx(entropy(0.7 / 3))


def test_a_rater_weighs_the_log_odds_of_being_right():
    """The slope at a pixel is minus the sum of the weights of those who marked it plus that of those who did not."""
    foreground = FOREGROUND.clone().requires_grad_()
    coin_length_mean(torch.cat([1 - foreground, foreground], dim=1), MASKS, BOTH).backward()
    weights = [math.log((1 - e) / e) for e in (0.7 / 3, 0.3)]
    signs = [[-1, -1], [-1, 1], [1, 1]]  # by pixel, of the two raters
    by_hand = [sum(s * w for s, w in zip(row, weights, strict=True)) / 6 for row in signs]
    assert foreground.grad.flatten().tolist() == pytest.approx(by_hand)


def test_the_vote_of_coins_by_hand():
    """The odds of being right, 23 : 7 and 7 : 3, divide where raters differ and multiply where they agree."""
    vote = coin_vote(torch.cat([1 - FOREGROUND, FOREGROUND], dim=1), MASKS, BOTH)
    odds = [(23 / 7) * (7 / 3), (23 / 7) / (7 / 3), 1 / ((23 / 7) * (7 / 3))]
    assert vote[0, 1].flatten().tolist() == pytest.approx([x / (1 + x) for x in odds])
    assert torch.allclose(vote.sum(dim=1), torch.ones(()))


def test_exchangeable_raters_vote_alike_and_absent_ones_not_at_all():
    probs = torch.cat([1 - FOREGROUND, FOREGROUND], dim=1)
    shared = coin_vote(probs, MASKS, BOTH, identified=False)[0, 1].flatten().tolist()
    assert shared[1] == pytest.approx(0.5)  # one says yes, one no
    assert shared[0] == pytest.approx(1 / (1 + (4 / 11) ** 2))  # errors 4/15 each
    alone = coin_vote(probs, MASKS, torch.tensor([[True, False]]))[0, 1].flatten().tolist()
    assert alone == pytest.approx([23 / 30, 23 / 30, 7 / 30])


def test_a_rater_who_errs_beyond_chance_has_next_to_no_vote_and_nobody_more_than_the_surest():
    """Odds 9 : 1, or 4 : 1, for the one who is never contradicted, against 11 : 9 for the one who always is."""
    probs = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    says, one = torch.tensor([0, 1], dtype=torch.uint8).view(1, 2, 1, 1), torch.ones(1, 2, dtype=torch.bool)
    assert coin_vote(probs, says, one)[0, 1].item() == pytest.approx(81 / 92)
    assert coin_vote(probs, says, one, least=0.2)[0, 1].item() == pytest.approx(36 / 47)
    with pytest.raises(InputError, match=r"least is 0.5; wanted above 0 and below 0.5"):
        coin_vote(probs, says, one, least=0.5)


def test_with_several_classes_a_label_also_says_which_others_it_is_not():
    probs = torch.tensor([0.8, 0.1, 0.1]).view(1, 3, 1, 1)
    vote = coin_vote(probs, torch.zeros(1, 1, 1, 1, dtype=torch.uint8), torch.ones(1, 1, dtype=torch.bool))
    assert vote.flatten().tolist() == pytest.approx([0.8, 0.1, 0.1])  # odds 2 * .8 / .2 against each other class


@pytest.mark.parametrize(("vote", "found"), [(True, True), (False, False)])
def test_a_blank_answer_learns_the_vote_of_coins_but_not_their_length(vote, found):
    """Three of four raters mark one pixel of sixteen; where the network is sure of nothing, the length has no slope."""
    masks = torch.zeros(1, 4, 4, 4, dtype=torch.uint8)
    masks[:, :3, 1, 1] = 1
    here = torch.ones(1, 4, dtype=torch.bool)
    logits = torch.tensor([6.0, -6.0]).view(1, 2, 1, 1).repeat(1, 1, 4, 4)
    for _ in range(50):
        logits.requires_grad_()
        probs = torch.softmax(logits, dim=1)
        voted = cross_entropy_mean(logits, coin_vote(probs, masks, here))
        loss = voted if vote else coin_length_mean(probs, masks, here)
        logits = (logits - 5 * torch.autograd.grad(loss, logits)[0]).detach()
    assert (logits[0, 1, 1, 1] > logits[0, 0, 1, 1]) == found
    assert (logits[0, 1] > logits[0, 0]).sum() == found


def test_coins_of_several_classes_also_pay_for_which_class_it_was():
    probs = torch.full((1, 3, 1, 1), 1 / 3)
    masks = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    one = torch.ones(1, 1, dtype=torch.bool)
    assert coin_length_mean(probs, masks, one).item() == pytest.approx(math.log(3))  # chance: log K


@pytest.mark.parametrize("classes", [2, 3])
def test_contradicting_everybody_costs_more_than_chance(classes):
    masks, one = torch.zeros(1, 1, 1, 1, dtype=torch.uint8), torch.ones(1, 1, dtype=torch.bool)
    opposite = torch.zeros(1, classes, 1, 1)
    opposite[:, 1] = 1
    opposite.requires_grad_()
    length = coin_length_mean(opposite, masks, one)
    assert length.item() == pytest.approx(math.log(classes) + 1 / classes)
    length.backward()
    assert opposite.grad[0, 0].item() == pytest.approx(-1)  # towards what the rater said


def test_nobody_is_taken_for_surer_than_the_least_share_of_errors():
    """Below it the length is the tangent: the weight is that of one error in ten, whoever is followed."""
    never = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).requires_grad_()
    length = coin_length_mean(never, torch.ones(1, 1, 1, 1, dtype=torch.uint8), torch.ones(1, 1) > 0, least=0.1)
    assert length.item() == pytest.approx(entropy(0.1) - 0.1 * math.log(9))
    length.backward()
    assert never.grad[0, 1].item() == pytest.approx(-math.log(9))
    with pytest.raises(InputError, match=r"least is 0.5; wanted above 0 and below 0.5"):
        coin_length_mean(never, torch.ones(1, 1, 1, 1, dtype=torch.uint8), torch.ones(1, 1) > 0, least=0.5)


def test_the_coins_slope_stays_finite_where_nobody_errs():
    sure = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).requires_grad_()
    coin_length_mean(sure, torch.ones(1, 1, 1, 1, dtype=torch.uint8), torch.ones(1, 1, dtype=torch.bool)).backward()
    assert torch.isfinite(sure.grad).all()


def test_the_divergence_of_normals_is_that_of_pytorch():
    mean, log_sigma, other_mean, other_log_sigma = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(normal(mean, log_sigma.exp()), normal(other_mean, other_log_sigma.exp()))
    assert torch.allclose(kl_normal(mean, log_sigma, other_mean, other_log_sigma), wanted, atol=1e-5)
    assert torch.equal(kl_normal(mean, log_sigma, mean, log_sigma), torch.zeros(3, 5))


def test_hard_pixels_are_drawn_without_replacement_and_by_their_loss():
    """Of three pixels with losses 1, 2 and 5 one is drawn: in 1/8, 2/8 and 5/8 of all draws."""
    nats = torch.tensor([[[1.0, 2.0, 5.0]]])
    drawn = torch.stack([hard_pixels(nats, 0.34, rng_for(0, step)) for step in range(4000)]).float()
    assert (drawn.sum(dim=(1, 2, 3)) == 1).all()
    assert drawn.mean(dim=0).flatten().tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.03)
    both = torch.stack([hard_pixels(nats, 0.67, rng_for(0, step)) for step in range(4000)]).float()
    # by hand: the first pixel is left out of two in (5/8)(2/3) + (2/8)(5/6) = 5/8 of all draws
    assert both.mean(dim=0)[0, 0, 0].item() == pytest.approx(3 / 8, abs=0.03)


def test_hard_pixels_are_as_many_as_the_share_and_never_none():
    nats = torch.rand(2, 10, 10, generator=rng_for(0, "nats"), requires_grad=True)
    assert hard_pixels(nats, 0.02, rng_for(0, "h")).sum() == 4
    assert hard_pixels(nats, 1e-6, rng_for(0, "h")).sum() == 1
    assert hard_pixels(torch.zeros(1, 2, 2), 1.0, rng_for(0, "h")).all()
    assert not hard_pixels(nats, 0.02, rng_for(0, "h")).requires_grad
    with pytest.raises(InputError, match="share is 0"):
        hard_pixels(nats, 0, rng_for(0, "h"))
