import numpy as np
import pytest
from matplotlib.figure import Figure

from labutils.core.checks import InputError
from labutils.viz import curves
from labutils.viz.curves import Interval

ROWS = [Interval("worse", 0.5, 0.4, 0.6), Interval("better", 0.3, 0.2, 0.35)]
HISTORY = {"train/loss": [1.0, 0.5], "validation/loss": [1.1, 0.8], "validation/dice": [0.2, float("nan")]}
BINS = np.linspace(0.05, 0.95, 10)

FIGURES = {
    "training_curves": lambda: curves.training_curves(HISTORY),
    "reliability": lambda: curves.reliability(BINS, BINS**2, np.arange(10)),
    "intervals": lambda: curves.intervals(ROWS, "GED² (lower is better)", floor=ROWS[0], ceiling=ROWS[1]),
    "runs": lambda: curves.runs([curves.Runs("a", [0.5]), curves.Runs("b", [0.6, 0.7], [True, False])], "Dice"),
    "lines": lambda: curves.lines({"up": ([0, 1], [0, 2])}, "step", "weight"),
    "count_bars": lambda: curves.count_bars(["1", "2"], [30, 40], "readers", "nodules"),
    "value_histogram": lambda: curves.value_histogram(BINS, "IoU", "pairs", estimate=ROWS[0]),
    "groups": lambda: curves.groups({"size (mm)": (["small", "none"], [BINS, []])}, "IoU"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_returns_a_figure_with_labeled_axes_and_no_titles(name):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert all(ax.get_title() == "" for ax in figure.axes)
    assert figure.axes[-1].get_xlabel()
    assert figure.axes[0].get_ylabel() or figure.axes[0].get_yticklabels()
    assert figure._repr_png_()


def test_one_panel_a_quantity_and_one_line_a_split():
    figure = curves.training_curves(HISTORY)
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "dice"]
    assert [len(ax.lines) for ax in figure.axes] == [2, 1]
    loss, dice = figure.axes
    assert loss.lines[1].get_color() == dice.lines[0].get_color()  # validation keeps its color
    assert list(loss.lines[0].get_xdata()) == [1, 2]


def test_empty_bins_are_left_out_of_the_reliability_diagram():
    figure = curves.reliability(BINS, BINS**2, np.arange(10))
    assert len(figure.axes[0].lines[1].get_xdata()) == 9


def test_intervals_run_from_low_to_high_with_the_first_row_on_top():
    figure = curves.intervals(ROWS, "GED²")
    ax = figure.axes[0]
    bar, dot = ax.lines[0], ax.lines[1]
    assert list(bar.get_xdata()) == [0.4, 0.6]
    assert list(dot.get_xdata()) == [0.5]
    places = dict(zip([text.get_text() for text in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    assert places["worse"] > places["better"]


def test_bands_are_named_in_the_legend():
    figure = curves.intervals(ROWS, "GED²", ceiling=Interval("another rater", 0.1, 0.05, 0.15))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ceiling: another rater"]


def test_a_mean_outside_its_interval_is_refused():
    with pytest.raises(InputError, match="outside its interval"):
        curves.intervals([Interval("wrong", 0.7, 0.4, 0.6)], "IoU")


def test_an_unknown_interval_is_a_dot():
    figure = curves.intervals([Interval("one patient", 0.7, float("nan"), float("nan"))], "IoU")
    assert list(figure.axes[0].lines[1].get_xdata()) == [0.7]


def test_groups_mark_the_median_and_say_how_many():
    figure = curves.groups({"size (mm)": (["all"], [np.array([0.1, 0.2, 0.9])])}, "IoU")
    ax = figure.axes[0]
    assert ax.lines[-1].get_ydata()[0] == pytest.approx(0.2)
    assert ax.get_xticklabels()[0].get_text() == "all\nn = 3"


@pytest.mark.parametrize("call", [lambda: curves.training_curves({}), lambda: curves.intervals([], "IoU")])
def test_nothing_to_draw_is_refused(call):
    with pytest.raises(InputError, match="is empty"):
        call()


def test_what_was_learned_is_drawn_against_what_was_planted():
    figure = curves.planted_and_learned(np.array([0, 0.5, 1]), {"a": [0, 0.4, 1]}, "planted", "learned")
    diagonal, line = figure.axes[0].lines
    assert list(line.get_ydata()) == [0, 0.4, 1]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    with pytest.raises(InputError, match="b has 2 values; wanted 3"):
        curves.planted_and_learned(np.array([0, 0.5, 1]), {"b": [0, 1]}, "planted", "learned")


def test_every_seed_is_a_dot_with_the_first_row_on_top_and_odd_ones_hollow():
    rows = [curves.Runs("sure", [0.5, 0.9, 0.6]), curves.Runs("torn", [0.2, 0.8], [True, False])]
    figure = curves.runs(rows, "Dice", odd="lost")
    ax = figure.axes[0]
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[0.5, 1], [0.9, 1], [0.6, 1]])
    assert [line.get_xdata()[0] for line in ax.lines] == [0.6, 0.5]  # medians
    filled, torn = (part.get_facecolors().tolist() for part in ax.collections)
    assert filled[0] == torn[1] != torn[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["lost"]


@pytest.mark.parametrize("rows", [[], [curves.Runs("none", [])], [curves.Runs("some", [0.5], [True, False])]])
def test_runs_without_seeds_or_with_other_marks_are_refused(rows):
    with pytest.raises(InputError, match="wanted"):
        curves.runs(rows, "Dice")


def test_lines_are_drawn_through_their_values_and_named():
    figure = curves.lines({"up": ([0, 1, 3], [0, 2, 2]), "down": ([0, 1], [1, 0])}, "step", "weight")
    first, second = figure.axes[0].lines
    assert list(first.get_xdata()) == [0, 1, 3]
    assert list(first.get_ydata()) == [0, 2, 2]
    assert (first.get_color(), first.get_linestyle()) != (second.get_color(), second.get_linestyle())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["up", "down"]


@pytest.mark.parametrize(
    ("series", "message"), [({}, "empty"), ({"up": ([0, 1], [0])}, "up has 2 values along x and 1")]
)
def test_lines_that_cannot_be_drawn_are_refused(series, message):
    with pytest.raises(InputError, match=message):
        curves.lines(series, "step", "weight")
