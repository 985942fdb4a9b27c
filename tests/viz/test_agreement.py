import numpy as np
import pytest
from matplotlib.colors import to_hex

from labutils.core.checks import InputError
from labutils.core.types import Case
from labutils.viz.agreement import CHOSEN_COLOR, Position, agreement_map, outlines_and_votes, positions, vote_colors

SIZE = 16
MASKS = np.zeros((3, SIZE, SIZE), dtype=np.uint8)
MASKS[0, 4:10, 4:10] = MASKS[1, 5:11, 5:11] = 1  # the third rater saw nothing
IMAGE = np.full((1, SIZE, SIZE), 0.5, dtype=np.float32)


def case(*present):
    return Case(image=IMAGE, masks=MASKS * np.array(present, np.uint8)[:, None, None], present=np.array(present))


def position(*counted, threshold=5, dice=(1.0,) * 9):
    return Position(case(True, True, True), np.array(counted), threshold, dice)


def test_the_agreement_bar_says_how_many_raters_and_leaves_unmarked_pixels_bare():
    picture, bar = agreement_map(MASKS.sum(0), 3).axes
    assert bar.get_ylabel() == "raters who marked the pixel (of 3)"
    assert np.array_equal(picture.images[-1].get_array().mask, MASKS.sum(0) == 0)


def test_votes_beyond_the_raters_are_refused():
    with pytest.raises(InputError, match="raters = 1"):
        agreement_map(MASKS.sum(0), 1)


def test_an_absent_rater_is_neither_drawn_nor_counted():
    left, right, bar = outlines_and_votes([case(True, False, True)]).axes
    assert len(left.patches) == 1
    assert right.images[-1].get_array().max() == 1
    assert bar.get_ylabel() == "raters who marked the pixel (of 2)"


def test_a_position_shows_who_is_counted_and_where_their_votes_are_cut():
    left, middle, right, bar = positions([position(True, True, False, threshold=8)]).axes
    assert [len(ax.patches) for ax in (left, middle)] == [2, 1]
    assert bar.get_ylabel() == "votes (of 2)"
    (cut,) = middle.patches
    assert cut.get_path().get_extents().width == 5  # two of two: the intersection
    assert [patch.get_height() for patch in right.patches] == [1.0] * 9
    chosen = [
        place for place, patch in enumerate(right.patches) if to_hex(patch.get_facecolor()) == CHOSEN_COLOR.lower()
    ]
    assert chosen == [7]


def test_with_nobody_counted_there_are_no_votes():
    left, middle, right = positions([position(False, False, False, dice=(0.0,) * 9)]).axes  # and no bar of votes
    assert len(left.patches) == len(middle.patches) == 0
    assert len(right.patches) == 9


def test_the_score_is_the_mean_of_nine():
    assert position(True, True, True, dice=tuple(np.arange(9) / 8)).score == pytest.approx(0.5)


def test_no_position_is_refused():
    with pytest.raises(InputError, match="rows is empty"):
        positions([])


@pytest.mark.parametrize("raters", [1, 2, 4, 8])
def test_more_votes_are_brighter_and_all_of_them_the_brightest(raters):
    luminance = vote_colors(raters)[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert len(luminance) == raters
    assert (np.diff(luminance) > 0).all()
    assert np.array_equal(vote_colors(raters)[-1], vote_colors(1)[-1])
