"""The multiplier of a constraint: its value, its moving average, and which way steps move it."""

import math

import pytest
import torch

from labutils.models.geco import Multiplier


def test_lambda_begins_at_one():
    assert Multiplier(0.99, 0.01).value().item() == pytest.approx(1.0)
    assert Multiplier(0.99, 0.01, start=0.05).value().item() == pytest.approx(0.05)


def test_the_average_begins_with_the_first_loss_and_moves_by_a_hundredth():
    constraint = Multiplier(0.99, 0.01)
    assert constraint.smoothed(torch.tensor(5.0)).item() == pytest.approx(5.0)
    assert constraint.smoothed(torch.tensor(15.0)).item() == pytest.approx(5.1)
    constraint.eval()
    for _ in range(2):  # looked at, not moved
        assert constraint.smoothed(torch.tensor(105.1)).item() == pytest.approx(6.1)


def test_the_slope_of_the_average_is_that_of_the_batch():
    constraint, loss = Multiplier(0.99, 0.01), torch.tensor(3.0, requires_grad=True)
    constraint.smoothed(torch.tensor(8.0))
    (slope,) = torch.autograd.grad(constraint.smoothed(loss), loss)
    assert slope.item() == 1.0


@pytest.mark.parametrize("excess", [2.0, -2.0])
def test_lambda_rises_while_the_constraint_is_missed_and_falls_after(excess):
    """By hand: d lambda / d w at 1 is 2 softplus(w) sigmoid(w) = 2 (1 - 1/e), and its sign is turned."""
    constraint = Multiplier(0.99, 0.01)
    penalty = constraint(torch.tensor(excess))
    assert penalty.item() == pytest.approx(excess)
    (slope,) = torch.autograd.grad(penalty, constraint.w)
    assert slope.item() == pytest.approx(-0.01 * excess * 2 * (1 - 1 / math.e))


def test_the_state_is_saved():
    constraint = Multiplier(0.9, 0.01)
    constraint.smoothed(torch.tensor(7.0))
    with torch.no_grad():
        constraint.w += 1
    again = Multiplier(0.9, 0.01)
    again.load_state_dict(constraint.state_dict())
    assert again.average.item() == 7.0
    assert again.value() == constraint.value()
