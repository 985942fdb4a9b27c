import numpy as np
import pytest
from matplotlib.patches import Rectangle

from labutils.core.checks import InputError
from labutils.viz import preparation
from labutils.viz.preparation import Picture
from labutils.viz.style import RATER_COLORS
from tests.viz.plain import require_plain

IMAGE = np.full((12, 10), 0.5, dtype=np.float32)
MASKS = np.zeros((2, 12, 10), dtype=bool)
MASKS[:, 4:7, 3:6] = True
DIAMOND = np.array([[0, 2], [2, 4], [4, 2], [2, 0]], float)
INSIDE = np.zeros((5, 5), dtype=bool)
INSIDE[1:4, 1:4] = True
KEPT = INSIDE & (np.indices((5, 5)).sum(axis=0) != 2)
BOXES = {"A": ((0, 0), (4, 4)), "B": ((3, 3), (6, 6)), "C": ((9, 1), (10, 2))}

FIGURES = {
    "pictures": lambda: preparation.pictures([Picture("a", IMAGE, MASKS), Picture("b", IMAGE[None, :8])], columns=2),
    "slice_to_crop": lambda: preparation.slice_to_crop(IMAGE, (slice(2, 8), slice(1, 7)), MASKS[:, 2:8, 1:7]),
    "edge_rule": lambda: preparation.edge_rule(DIAMOND, INSIDE, KEPT),
    "box_groups": lambda: preparation.box_groups(BOXES, [["A", "B"], ["C"]]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_returns_a_figure_without_titles_that_draws(name):
    require_plain(FIGURES[name]())


def test_pictures_carry_their_label_and_their_outlines_only():
    figure = FIGURES["pictures"]()
    assert [ax.texts[-1].get_text() for ax in figure.axes] == ["a", "b"]
    assert [len(ax.patches) for ax in figure.axes] == [2, 0]


def test_five_pictures_in_rows_of_four_leave_no_empty_axes():
    figure = preparation.pictures([Picture(str(i), IMAGE) for i in range(5)])
    assert len(figure.axes) == 5


def test_the_box_lies_where_the_crop_was_cut():
    figure = FIGURES["slice_to_crop"]()
    (box,) = (patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle))
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (0.5, 1.5, 6, 6)
    assert [len(ax.patches) for ax in figure.axes] == [1, 0, 2]


def test_kept_pixels_are_blue_and_others_inside_are_hatched():
    ax = FIGURES["edge_rule"]().axes[0]
    squares = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    hatched = {(square.get_y() + 0.5, square.get_x() + 0.5) for square in squares if square.get_hatch()}
    assert len(squares) == INSIDE.sum()
    assert hatched == {tuple(place) for place in np.argwhere(INSIDE & ~KEPT).astype(float).tolist()}


def test_boxes_have_the_color_of_their_group():
    ax = FIGURES["box_groups"]().axes[0]
    colors = [patch.get_edgecolor() for patch in ax.patches]
    assert colors[0] == colors[1] != colors[2]
    assert [text.get_text() for text in ax.texts] == list(BOXES)
    assert ax.patches[0].get_facecolor()[:3] == pytest.approx(
        tuple(int(RATER_COLORS[0][i : i + 2], 16) / 255 for i in (1, 3, 5))
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: preparation.pictures([]), "at least one picture"),
        (lambda: preparation.slice_to_crop(IMAGE, (slice(0, 4), slice(0, 4)), MASKS), "masks"),
        (lambda: preparation.edge_rule(DIAMOND, INSIDE, KEPT[:4]), "kept"),
        (lambda: preparation.box_groups(BOXES, [["A", "B"]]), "in no group"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
