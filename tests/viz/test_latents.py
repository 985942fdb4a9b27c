"""The plane of two latent numbers: every mask in the color of its kind, over every draw."""

import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.viz.latents import latent_plane
from labutils.viz.style import rater_style

MEANS = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
DRAWN = np.array([[1.0, 1.0], [2.0, 2.0]])
KINDS = np.array([1, 0, 1])


def test_draws_lie_below_the_masks_of_each_kind():
    figure = latent_plane({"a": (MEANS, DRAWN), "b": (MEANS + 1, DRAWN)}, KINDS, ["over", "under"])
    assert len(figure.axes) == 2
    draws, over, under = figure.axes[0].lines
    assert draws.get_xydata().tolist() == DRAWN.tolist()
    assert over.get_xydata().tolist() == [[2.0, 3.0]]
    assert under.get_xydata().tolist() == [[0.0, 1.0], [4.0, 5.0]]
    assert (over.get_color(), under.get_color()) == (rater_style(0).color, rater_style(1).color)
    assert over.get_marker() != under.get_marker()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["drawn from the prior", "over", "under"]
    assert figure.axes[1].get_xlabel().endswith("b")


@pytest.mark.parametrize(
    ("panels", "kinds", "message"),
    [
        ({}, KINDS, "panels is empty"),
        ({"a": (MEANS, DRAWN)}, np.array([0, 1, 2]), "wanted a name for each"),
        ({"a": (MEANS[:2], DRAWN)}, KINDS, "means are 2; wanted 3"),
        ({"a": (MEANS[:, :1], DRAWN)}, KINDS, "wanted Z = 2"),
    ],
)
def test_what_does_not_fit_is_refused(panels, kinds, message):
    with pytest.raises(InputError, match=message):
        latent_plane(panels, kinds, ["over", "under"])
