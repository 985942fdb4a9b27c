import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.core.types import Case
from labutils.viz.sampling import Drawn, drawn_rows, map_colors, sample_sheets

SIZE = 16


def drawn(samples, chosen=0, dice=(0.5, np.nan)):
    masks = np.zeros((2, SIZE, SIZE), dtype=np.uint8)
    masks[0, 4:10, 4:10] = 1
    image = np.full((1, SIZE, SIZE), 0.5, dtype=np.float32)
    case = Case(image=image, masks=masks, present=np.array([True, False]))
    return Drawn("a sampler", case, samples, chosen, 0.25, 0.5, 0.0, dice)


def squares(*widths):
    samples = np.zeros((len(widths), SIZE, SIZE))
    for sample, width in zip(samples, widths, strict=True):
        sample[2 : 2 + width, 2 : 2 + width] = 1
    return samples


def test_a_row_begins_with_the_chosen_sample_and_only_there_with_the_raters():
    first, second, third = drawn_rows([drawn(squares(2, 3, 4), chosen=2)]).axes[:3]
    assert [len(ax.patches) for ax in (first, second, third)] == [2, 1, 1]
    widths = [ax.patches[-1].get_path().get_extents().width for ax in (first, second, third)]
    assert widths == [4, 2, 3]
    assert second.get_title() == "a sampler, GED² 0.25"


def test_few_samples_are_shown_again():
    axes = drawn_rows([drawn(squares(2))]).axes
    assert [ax.patches[-1].get_path().get_extents().width for ax in axes[:3]] == [2, 2, 2]


def test_rows_share_the_colors_of_mean_and_spread():
    figure = drawn_rows([drawn(squares(2, 3)), drawn(squares(5))])
    maps = [figure.axes[at].images[0] for at in (3, 4, 8, 9)]
    assert [picture.get_clim() for picture in maps] == [(0, 1), (0, 0.5)] * 2
    assert np.asarray(maps[1].get_array()).max() == 0.5  # one of two samples has the pixel
    assert np.asarray(maps[3].get_array()).max() == 0  # a single sample has no spread


def test_an_absent_rater_is_not_in_the_mean():
    assert drawn(squares(2)).mean_dice == 0.5
    assert drawn(squares(2, 4)).area_px == (4 + 16) / 2


def test_no_row_is_refused():
    with pytest.raises(InputError, match="rows is empty"):
        drawn_rows([])


def test_a_map_has_256_colors_from_dark_to_bright():
    colors = map_colors("viridis")
    assert (colors.shape, colors.dtype) == ((256, 3), np.uint8)
    assert colors[0].tolist() == [68, 1, 84]
    assert colors[-1].astype(int).sum() > colors[0].astype(int).sum()


def test_a_sheet_has_each_sample_at_its_place_over_their_standard_deviation():
    samples = squares(2, 3, 4, 5, 6)
    above, below = sample_sheets({"one": samples}, columns=3).axes[:2]
    sheet, spread = (np.asarray(ax.images[0].get_array().filled(np.nan)) for ax in (above, below))
    assert sheet.shape == (2 * SIZE + 1, 3 * SIZE + 2)
    for at in range(5):
        top, left = (SIZE + 1) * (at // 3), (SIZE + 1) * (at % 3)
        assert np.array_equal(sheet[top : top + SIZE, left : left + SIZE], samples[at])
    assert np.isnan(sheet[SIZE]).all()
    assert np.isnan(sheet[SIZE + 1 :, 2 * SIZE + 2 :]).all()
    assert spread == pytest.approx(samples.std(0))
    assert below.images[0].get_clim() == (0, 0.5)


@pytest.mark.parametrize(
    ("sheets", "says"),
    [
        ({}, "sheets is empty"),
        ({"one": np.zeros((0, 4, 4))}, r"one has shape \(0, 4, 4\)"),
        ({"one": np.full((1, 4, 4), 1.5)}, "one"),
    ],
)
def test_a_sheet_without_samples_or_beyond_chances_is_refused(sheets, says):
    with pytest.raises(InputError, match=says):
        sample_sheets(sheets)
