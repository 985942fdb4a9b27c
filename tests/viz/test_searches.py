import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.viz.searches import Trials, trials_found
from tests.viz.plain import require_plain

NAN = float("nan")
TRIALS = Trials(
    numbers=[0, 1, 3, 4, 5],
    values=[0.5, 0.2, 0.3, NAN, 0.4],
    complete=[True, False, True, False, True],
    settings={"fit.lr": [1e-3, 1e-2, 3e-3, 1e-1, 2e-3], "model.anneal": ["none", "linear", "none", "cyclic", "linear"]},
)


def marks(ax):
    """Points of an axes by marker and face, lines left out."""
    found = {}
    for line in ax.lines:
        if line.get_linestyle() == "None" and len(line.get_xdata()):
            key = (line.get_marker(), line.get_markerfacecolor() == line.get_color())
            found[key] = list(zip(line.get_xdata(), line.get_ydata(), strict=True))
    return found


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_best_is_complete_and_the_legend_counts_every_trial():
    figure = trials_found(TRIALS, "GED (lower is better)", lower=True, log={"fit.lr"})
    require_plain(figure)
    assert labels(figure) == ["3 complete", "1 stopped early", "1 failed", "best, trial 3", "best so far"]
    by_trial = marks(figure.axes[0])
    assert by_trial[("D", True)] == [(3, 0.3)]  # not the lower value of the trial that was stopped
    assert by_trial[("o", False)] == [(1, 0.2)]
    ((number, edge),) = by_trial[("x", True)]
    assert number == 4
    assert edge > 0.5


def test_the_best_so_far_never_gets_worse_and_begins_with_a_complete_trial():
    for sign in (1, -1):
        values = [sign * value for value in [0.1, 0.5, 0.3, 0.4]]
        trials = Trials([0, 1, 2, 3], values, [False, True, True, True], {})
        figure = trials_found(trials, "value", lower=sign > 0)
        (line,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
        np.testing.assert_allclose(sign * line.get_ydata(), [NAN, 0.5, 0.3, 0.3])


def test_numbers_have_an_axis_as_they_were_drawn_and_words_one_of_words():
    figure = trials_found(TRIALS, "value", lower=True, log={"fit.lr"})
    _, rate, anneal = figure.axes
    assert (rate.get_xscale(), rate.get_xlabel()) == ("log", "fit.lr")
    assert marks(rate)[("D", True)] == [(3e-3, 0.3)]
    assert [text.get_text() for text in anneal.get_xticklabels()] == ["cyclic", "linear", "none"]
    assert marks(anneal)[("D", True)] == [(2, 0.3)]


@pytest.mark.parametrize(
    ("limits", "ticks"),
    [
        ((1e-4, 1e-2), ["0.0001", "0.001", "0.01"]),
        ((1e-5, 1e-1), ["1e\u221205", "0.001", "0.1"]),
        ((2, 16), ["2", "5", "10"]),
        ((3, 4), ["3", "4"]),
    ],
)
def test_an_axis_shows_all_that_could_be_drawn(limits, ticks):
    trials = Trials([0, 1], [0.1, 0.2], [True, True], {"a": [limits[0], limits[0] * 1.1]})
    ax = trials_found(trials, "value", lower=True, limits={"a": limits}, log={"a"}).axes[1]
    assert [text.get_text() for text in ax.get_xticklabels()] == ticks
    low, high = ax.get_xlim()
    assert low <= limits[0] < limits[1] <= high


def test_a_search_of_failures_alone_has_no_best():
    figure = trials_found(Trials([0], [NAN], [False], {"a": [1]}), "value", lower=False)
    assert labels(figure) == ["1 failed"]


@pytest.mark.parametrize(
    ("trials", "sentence"),
    [
        (Trials([], [], [], {}), "there is no trial to draw"),
        (Trials([0], [1.0], [True], {"a": []}), "a has 0 entries; wanted 1"),
        (Trials([0], [NAN], [True], {}), "a complete trial has no value"),
    ],
)
def test_what_cannot_be_drawn_is_refused(trials, sentence):
    with pytest.raises(InputError, match=sentence):
        trials_found(trials, "value", lower=True)
