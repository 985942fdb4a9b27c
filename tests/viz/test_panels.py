import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.core.types import Case
from labutils.viz import panels
from labutils.viz.style import MODEL_COLOR, TRUTH_COLOR
from tests.viz.plain import require_plain

SIZE = 16


def square(low, high):
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    mask[low:high, low:high] = 1
    return mask


IMAGE = np.full((1, SIZE, SIZE), 0.5, dtype=np.float32)
MASKS = np.stack([square(4, 10), square(5, 11), square(0, 0)])
PRESENT = np.array([True, True, True])
CASE = Case(image=IMAGE, masks=MASKS, present=PRESENT, spacing_mm=(0.7, 0.7))


FIGURES = {
    "raters_on_image": lambda: panels.raters_on_image(IMAGE, MASKS, PRESENT, with_plain=True, truth=square(4, 9)),
    "case_strip": lambda: panels.case_strip([CASE] * 3, columns=2),
    "samples_grid": lambda: panels.samples_grid(IMAGE, MASKS[:2]),
    "validation_pictures": lambda: panels.validation_pictures(IMAGE[None], MASKS[None, 0] * 0.9, MASKS[None]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_returns_a_figure_without_titles_that_draws(name):
    require_plain(FIGURES[name]())


def test_outlines_are_those_of_who_drew_on_the_last_panel_only():
    figure = panels.raters_on_image(IMAGE, MASKS, np.array([True, False, True]), with_plain=True)
    assert [len(ax.patches) for ax in figure.axes] == [0, 1]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["rater 1", "rater 2: absent", "rater 3: saw nothing"]


def test_truth_is_one_more_outline_in_its_own_color():
    figure = panels.raters_on_image(IMAGE, MASKS, PRESENT, truth=square(4, 9))
    assert len(figure.axes[0].patches) == 3
    assert _hex(figure.axes[0].patches[-1].get_edgecolor()) == TRUTH_COLOR.lower()


def test_a_strip_has_a_panel_and_three_marks_a_case():
    figure = panels.case_strip([CASE] * 5, columns=3)
    assert len(figure.axes) == 5
    markers = [line.get_marker() for line in figure.axes[0].lines if line.get_marker() != "None"]
    assert markers == ["o", "o", "o"]


def test_no_case_and_wrong_labels_are_refused():
    with pytest.raises(InputError, match="cases is empty"):
        panels.case_strip([])
    with pytest.raises(InputError, match="2 labels"):
        panels.case_strip([CASE] * 2, labels=["one"])


def test_mean_and_spread_are_of_all_samples_not_of_those_shown():
    samples = np.stack([np.ones((SIZE, SIZE)), *np.zeros((3, SIZE, SIZE))])
    figure = panels.samples_grid(IMAGE, samples, most=1)
    maps = [ax.images[0].get_array() for ax in figure.axes if ax.images and not ax.texts]
    assert float(maps[0].mean()) == pytest.approx(0.25)
    assert float(maps[1].mean()) == pytest.approx(samples[:, 0, 0].std())


def test_validation_shows_ten_cases_with_raters_and_model():
    figure = panels.validation_pictures(
        np.repeat(IMAGE[None], 12, 0), np.repeat(MASKS[None, 0], 12, 0), np.repeat(MASKS[None], 12, 0)
    )
    assert len(figure.axes) == 10
    colors = [_hex(patch.get_edgecolor()) for patch in figure.axes[0].patches]
    assert len(colors) == 3
    assert colors[-1] == MODEL_COLOR.lower()


def test_pixels_keep_the_proportions_of_the_tissue():
    figure = panels.raters_on_image(IMAGE, MASKS, spacing_mm=(2.0, 0.5))
    assert figure.axes[0].get_aspect() == 4


def test_a_volume_is_refused():
    with pytest.raises(InputError, match="masks has shape"):
        panels.raters_on_image(IMAGE, MASKS[None])


def _hex(color):
    from matplotlib.colors import to_hex

    return to_hex(color)


def test_maps_share_one_scale_and_leave_zero_bare():
    maps = {"one": np.eye(4), "half": np.full((4, 4), 0.5)}
    figure = panels.maps_on_image(np.zeros((4, 4)), maps, "share")
    pictures = [ax.images[-1] for ax in figure.axes[:2]]
    assert {picture.get_clim() for picture in pictures} == {(0, 1)}
    assert pictures[0].get_array().mask.sum() == 12
    assert not np.ma.is_masked(pictures[1].get_array())
    with pytest.raises(InputError, match="maps is empty"):
        panels.maps_on_image(np.zeros((4, 4)), {}, "share")
    with pytest.raises(InputError, match="wide has shape"):
        panels.maps_on_image(np.zeros((4, 4)), {"wide": np.zeros((1, 4, 4))}, "share")


def test_a_model_is_outlined_and_named():
    figure = panels.raters_on_image(np.zeros((4, 4)), np.zeros((1, 4, 4)), model=np.eye(4))
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "model"
    assert len(figure.axes[0].patches) == 1
