import numpy as np
import pytest
from matplotlib.figure import Figure

from labutils.core.checks import InputError
from labutils.viz.disagreement import TwoSets, means_by_count, sample_rows, shapes_and_scores, two_sets
from labutils.viz.style import MODEL_COLOR

DISTANCE = np.array([[0, 0.3, 0.4], [0.3, 0, 0.5], [0.4, 0.5, 0]])  # a 3-4-5 triangle
SQUARE = np.zeros((8, 8), dtype=bool)
SQUARE[2:5, 2:5] = True
PANEL = TwoSets(SQUARE[None], np.stack([SQUARE, SQUARE.T]), {"GED²": 0.125, "IoU": 1.0})


def test_points_lie_as_far_apart_as_their_distances():
    figure = two_sets(DISTANCE, 1)
    marks = [line for line in figure.axes[0].lines if line.get_marker() in "so"]
    points = np.array([line.get_xydata()[0] for line in marks])
    np.testing.assert_allclose(np.linalg.norm(points[:, None] - points[None], axis=2), DISTANCE, atol=1e-12)
    assert [line.get_marker() for line in marks] == ["s", "o", "o"]


def test_each_kind_of_pair_has_its_line_and_the_matrix_shows_the_values():
    figure = two_sets(DISTANCE, 1)
    lines = [line.get_linestyle() for line in figure.axes[0].lines if line.get_marker() == "None"]
    assert sorted(lines) == ["-", "-", ":"]  # one sample, two raters: two cross pairs, one within raters
    written = [text.get_text() for text in figure.axes[1].texts]
    assert written == [f"{value:.2f}" for value in DISTANCE.ravel()]


@pytest.mark.parametrize(
    ("distance", "samples"), [(DISTANCE[:2], 1), (np.triu(DISTANCE), 1), (DISTANCE, 0), (DISTANCE, 3)]
)
def test_wrong_matrices_are_refused(distance, samples):
    with pytest.raises(InputError):
        two_sets(distance, samples)


def test_two_points_on_one_place_still_draw():
    assert two_sets(np.zeros((2, 2)), 1)._repr_png_()


def test_means_stand_at_equal_steps_with_their_intervals():
    values = np.array([[0.5, 0.4, 0.6], [0.2, 0.1, np.nan]])
    ax = means_by_count([4, 50], {"V": values}, "samples", "GED²").axes[0]
    np.testing.assert_allclose(ax.lines[1].get_xydata(), [[0, 0.5], [1, 0.2]])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["4", "50"]
    np.testing.assert_allclose(ax.collections[0].get_segments()[0], [[0, 0.4], [0, 0.6]])


def test_lines_of_another_length_are_refused():
    with pytest.raises(InputError, match="wanted \\(2, 3\\)"):
        means_by_count([1, 2], {"V": np.zeros((3, 3))}, "x", "y")
    with pytest.raises(InputError, match="lines is empty"):
        means_by_count([1], {}, "x", "y")


def test_a_panel_outlines_every_shape_and_writes_its_scores():
    figure = shapes_and_scores([PANEL, PANEL])
    assert isinstance(figure, Figure)
    for ax in figure.axes:
        colors = [patch.get_edgecolor() for patch in ax.patches]
        yellow = tuple(int(MODEL_COLOR[i : i + 2], 16) / 255 for i in (1, 3, 5))
        assert [np.allclose(color[:3], yellow) for color in colors] == [False, True, True]
        assert [text.get_text() for text in ax.texts] == ["2 px", "GED²  0.125\nIoU  1.000"]
    assert figure._repr_png_()


def test_a_panel_has_its_bar_in_mm_and_says_what_is_undefined():
    panel = PANEL._replace(scores={"GED²": -0.25, "HD95": np.nan})
    (ax,) = shapes_and_scores([panel], spacing_mm=(0.5, 0.5)).axes
    assert [text.get_text() for text in ax.texts] == ["1 mm", "GED²  −0.250\nHD95  undefined"]


def test_shapes_of_two_sizes_are_refused():
    with pytest.raises(InputError, match="must be equal"):
        shapes_and_scores([PANEL._replace(samples=np.zeros((1, 4, 4)))])
    with pytest.raises(InputError, match="panels is empty"):
        shapes_and_scores([])


def test_rows_of_pixels_have_a_named_panel_a_set():
    rows = np.array([[1, 1, 0], [0, 0, 2]])
    figure = sample_rows({"one": rows, "two": rows[:1], "three": rows}, columns=2)
    assert [ax.get_xlabel() for ax in figure.axes] == ["one", "two", "three"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), rows != 0)
    assert figure._repr_png_()


def test_sets_that_are_no_rows_are_refused():
    with pytest.raises(InputError, match="wanted axes"):
        sample_rows({"one": SQUARE[None]})
    with pytest.raises(InputError, match="stacks is empty"):
        sample_rows({})
