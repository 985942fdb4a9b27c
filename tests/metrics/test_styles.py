"""Samples by planted style: worked by hand on rows of pixels."""

import pytest
import torch

from labutils.core.checks import InputError
from labutils.metrics.styles import OTHER, nearest_style, style_shares


def rows(*masks):
    return torch.tensor([[int(pixel) for pixel in mask] for mask in masks], dtype=torch.bool)[None, :, None]


STYLES = rows("11110000", "11000000", "00000000")
SAMPLES = rows("11100000", "11110001", "10000000", "00000000", "00000011")


def test_the_nearest_style_by_hand():
    """Dice of 1110...: 6/7 with the first and 4/5 with the second; of 0...011: 0 with all, so the lowest number."""
    assert nearest_style(SAMPLES, STYLES).tolist() == [[0, 0, 1, 2, 0]]
    assert nearest_style(SAMPLES, STYLES, least=0.85).tolist() == [[0, 0, OTHER, 2, OTHER]]


def test_each_case_has_its_own_styles():
    samples, styles = torch.cat([SAMPLES, SAMPLES]), torch.cat([STYLES, STYLES.flip(1)])
    assert nearest_style(samples, styles, least=0.1).tolist() == [[0, 0, 1, 2, OTHER], [2, 2, 1, 0, OTHER]]


@pytest.mark.parametrize(
    ("drawn", "planted", "expected"),
    [
        ([0, 0, 1, 2], [0.5, 0.25, 0.25], 0.0),
        ([0, 0, 0, 0], [0.5, 0.25, 0.25], 0.5),
        ([0, 0, 1, OTHER], [0.5, 0.25, 0.25], 0.25),
        ([1], [1.0, 0.0], 1.0),
    ],
)
def test_shares_by_hand(drawn, planted, expected):
    found = style_shares(torch.tensor([drawn]), torch.tensor(planted))
    assert found.total_variation == pytest.approx(expected)
    assert found.other == drawn.count(OTHER) / len(drawn)
    assert found.shares.tolist() == [drawn.count(style) / len(drawn) for style in range(len(planted))]


DRAWN, EVEN = torch.tensor([[0, 1]]), torch.tensor([0.5, 0.5])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nearest_style(SAMPLES, STYLES, least=1.5), "least is 1.5"),
        (lambda: nearest_style(SAMPLES, STYLES.byte()), "torch.bool"),
        (lambda: nearest_style(SAMPLES, STYLES[..., :4]), "differ"),
        (lambda: style_shares(DRAWN + 1, EVEN), "numbers of 2 styles"),
        (lambda: style_shares(DRAWN - 2, EVEN), "numbers of 2 styles"),
        (lambda: style_shares(DRAWN[:, :0], EVEN), "numbers of 2 styles"),
        (lambda: style_shares(DRAWN, EVEN / 2), "sum to 1"),
    ],
)
def test_refusals(call, says):
    with pytest.raises(InputError, match=says):
        call()
