import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.viz.outlines import draw_raters, outline, pixel_edges, rater_handles, rater_marks, scale_bar
from labutils.viz.style import new_figure, rater_style


@pytest.fixture
def ax():
    _, axes = new_figure(panel=(2, 2))
    axes[0, 0].imshow(np.zeros((20, 20)))
    return axes[0, 0]


def mask_of(*pixels, shape=(5, 6)):
    mask = np.zeros(shape, dtype=np.uint8)
    for pixel in pixels:
        mask[pixel] = 1
    return mask


def area(points):
    x, y = points.T
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


def test_one_pixel_is_the_unit_square():
    (square,) = pixel_edges(mask_of((2, 3)))
    corners = {tuple(point) for point in square.tolist()}
    assert corners == {(2.5, 1.5), (3.5, 1.5), (3.5, 2.5), (2.5, 2.5)}
    assert len(square) == 5
    assert (square[0] == square[-1]).all()


def test_straight_runs_are_one_line():
    (rectangle,) = pixel_edges(mask_of((1, 1), (1, 2), (1, 3)))
    assert len(rectangle) in (5, 6)  # the walk may start on a side


def test_pixels_that_meet_at_a_corner_are_apart():
    boundaries = pixel_edges(mask_of((1, 1), (2, 2)))
    assert [abs(area(points)) for points in boundaries] == [1, 1]


def test_a_hole_has_its_own_boundary_of_the_other_turn():
    ring = np.ones((3, 3), dtype=bool)
    ring[1, 1] = False
    assert sorted(area(points) for points in pixel_edges(ring)) == [-1, 9]


def test_the_areas_of_any_mask_add_up_to_its_pixels():
    rng = np.random.default_rng(3)
    for _ in range(20):
        mask = rng.random((9, 7)) < 0.5
        assert sum(area(points) for points in pixel_edges(mask)) == mask.sum()


def test_no_outline_for_an_empty_mask(ax):
    assert outline(ax, np.zeros((5, 5)), "red") is None
    assert not ax.patches


def test_a_stack_is_not_a_mask():
    with pytest.raises(InputError, match="mask has shape"):
        pixel_edges(np.zeros((2, 5, 5)))


def test_one_outline_for_each_rater_that_drew(ax):
    masks = np.stack([mask_of((1, 1)), mask_of(), mask_of((2, 2)), mask_of((3, 3))])
    draw_raters(ax, masks, np.array([True, True, False, True]))
    colors = [patch.get_edgecolor() for patch in ax.patches]
    assert len(colors) == 2
    assert colors[1] == pytest.approx(
        _rgba(rater_style(3).color)
    )  # rater 4 keeps its color though 2 and 3 drew nothing


def test_absent_and_saw_nothing_read_and_look_different():
    masks = np.stack([mask_of((1, 1)), mask_of(), mask_of()])
    drew, saw_nothing, absent = rater_handles(masks, np.array([True, True, False]), None)
    assert drew.get_label() == "rater 1"
    assert saw_nothing.get_label() == "rater 2: saw nothing"
    assert absent.get_label() == "rater 3: absent"
    assert saw_nothing.get_marker() != absent.get_marker()
    assert saw_nothing.get_color() != absent.get_color()


def test_three_hundred_raters_have_one_entry_and_no_marks(ax):
    masks = np.ones((300, 2, 2))
    assert [handle.get_label() for handle in rater_handles(masks, None, None)] == ["300 raters"]
    rater_marks(ax, masks)
    assert not ax.lines


def test_names_must_fit():
    with pytest.raises(InputError, match="3 raters"):
        rater_handles(np.ones((3, 2, 2)), None, ["a", "b"])


def test_the_scale_bar_is_as_long_as_it_says(ax):
    scale_bar(ax, (0.5, 0.25), 20)
    (bar,) = ax.lines
    assert ax.texts[0].get_text() == "1 mm"
    assert np.ptp(bar.get_xdata()) == pytest.approx(4)  # 1 mm in columns of 0.25 mm


def test_without_a_spacing_the_scale_bar_counts_pixels(ax):
    scale_bar(ax, None, 20)
    assert ax.texts[0].get_text() == "5 px"
    assert np.ptp(ax.lines[0].get_xdata()) == pytest.approx(5)


def _rgba(color):
    from matplotlib.colors import to_rgba

    return to_rgba(color)
