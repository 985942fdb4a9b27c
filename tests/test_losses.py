"""Losses: values by hand, signs, gradients."""

import math

import pytest
import torch

from labutils.core.checks import InputError
from labutils.losses import cross_entropy_mean, soft_dice_loss_mean


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
