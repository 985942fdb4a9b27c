import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.viz import filters
from labutils.viz.preparation import Picture
from tests.viz.plain import require_plain

PICTURE = Picture("stays", np.zeros((8, 8)))
REMOVED = {"readers": 30, "area": 50}
RATINGS = {"subtlety": {1: 3, 5: 7}, "texture": {5: 10}}

FIGURES = {
    "waterfall": lambda: filters.waterfall({"crops": (100, REMOVED), "lesions": (90, {"empty": 0})}),
    "kept_or_removed": lambda: filters.kept_or_removed([(PICTURE, 100, REMOVED)] * 2),
    "totals": lambda: filters.totals({"as published": 2000, "any area": 3000}, "images", mark="as published"),
    "shares": lambda: filters.shares({"a": {"1": 1, "4": 3}, "b": {"4": 5}}, "share", "raters"),
    "sizes": lambda: filters.sizes({"all": np.array([5, 30, 31, 799, 900]), "none": np.zeros(0)}, (30, 800), "px", "n"),
    "rating_bars": lambda: filters.rating_bars(RATINGS, "nodules"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_returns_a_figure_without_titles_that_draws(name):
    require_plain(FIGURES[name]())


def test_each_bar_says_what_is_left_and_what_went():
    upper, lower = FIGURES["waterfall"]().axes
    assert [text.get_text() for text in upper.texts] == ["100", "70  (−30)", "20  (−50)"]
    assert [bar.get_width() for bar in upper.containers[0]] == [100, 70, 20]
    assert [bar.get_width() for bar in upper.containers[1]] == [0, 30, 50]
    assert [text.get_text() for text in lower.texts] == ["90", "90"]
    assert upper.get_xlabel() == "crops"


def test_a_setting_is_a_picture_and_its_bars():
    figure = FIGURES["kept_or_removed"]()
    assert len(figure.axes) == 4
    assert figure.axes[0].texts[-1].get_text() == "stays"


def test_totals_start_at_zero_and_the_mark_is_a_line():
    ax = FIGURES["totals"]().axes[0]
    assert [bar.get_width() for bar in ax.containers[0]] == [2000, 3000]
    assert ax.get_xlim()[0] == 0
    assert list(ax.lines[0].get_xdata()) == [2000, 2000]
    assert [text.get_text() for text in ax.texts] == ["2,000", "3,000"]


def test_the_parts_of_a_row_add_up_to_one_and_a_missing_part_is_none():
    ax = FIGURES["shares"]().axes[0]
    widths = np.array([[bar.get_width() for bar in part] for part in ax.containers])
    assert widths.tolist() == [[0.25, 0], [0.75, 1]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a, n = 4", "b, n = 5"]


def test_sizes_outside_the_limits_are_pale_and_none_is_lost():
    ax = FIGURES["sizes"]().axes[0]
    pale = sum(bar.get_height() for bar in ax.patches if bar.get_alpha() < 1)
    bold = sum(bar.get_height() for bar in ax.patches if bar.get_alpha() == 1)
    assert (pale, bold) == (2, 3)  # 30 itself falls into the first bin above the limit
    assert [line.get_xdata()[0] for line in ax.lines] == [30, 800]


def test_ratings_share_one_scale():
    left, right = FIGURES["rating_bars"]().axes[:2]
    assert left.get_ylim() == right.get_ylim()
    assert [bar.get_height() for bar in left.patches] == [3, 7]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: filters.waterfall({}), "at least one"),
        (lambda: filters.waterfall({"crops": (10, REMOVED)}), "remove 80 of 10"),
        (lambda: filters.kept_or_removed([]), "at least one picture"),
        (lambda: filters.totals({}, "images"), "at least one count"),
        (lambda: filters.totals({"a": 1}, "images", mark="b"), "no row 'b'"),
        (lambda: filters.shares({"a": {"1": 0}}, "share", "raters"), "counts nothing"),
        (lambda: filters.sizes({"all": np.array([0, 3])}, (30, 800), "px", "n"), "not positive"),
        (lambda: filters.sizes({}, (30, 800), "px", "n"), "at least one"),
        (lambda: filters.rating_bars({}, "nodules"), "at least one"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
