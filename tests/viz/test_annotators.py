import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.core.types import Case
from labutils.viz.annotators import FAINTEST, DrawnRater, drawn_raters, error_names
from labutils.viz.style import MODEL_COLOR, TRUTH_COLOR
from tests.viz.plain import require_plain

SIZE = 8


def drawn(classes=2, seed=0, label="drawn rater 1"):
    rng = np.random.default_rng(seed)
    truth, says = (rng.dirichlet(np.ones(classes), (SIZE, SIZE)).transpose(2, 0, 1) for _ in range(2))
    masks, image = np.zeros((2, SIZE, SIZE), np.uint8), rng.random((1, SIZE, SIZE), dtype=np.float32)
    case = Case(image=image, masks=masks, present=np.ones(2, bool), spacing_mm=(0.8, 0.4))
    return DrawnRater(label, case, truth, rng.random((classes, SIZE, SIZE)), says, 0.456, (0.0, 0.0))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_column_is_a_rater_and_a_row_what_is_shown(classes):
    raters = [drawn(classes, 0), drawn(classes, 1, "not drawn")]
    figure = drawn_raters(raters)
    require_plain(figure)
    grid = np.array(figure.axes[: 2 * (classes + 2)]).reshape(-1, 2)
    names = [ax.get_ylabel().replace("\n", " ") for ax in grid[:, 0]]
    assert names == ["label", *error_names(classes).values(), "chance to mark"]
    assert [ax.get_xlabel() for ax in grid[-1]] == ["drawn rater 1\nDice 0.46", "not drawn\nDice 0.46"]
    for column, one in zip(grid.T, raters, strict=True):
        shown = [ax.images[0] for ax in column]
        wanted = [one.case.image[0], *one.errors[1:], one.errors[0], 1 - one.says[0]]
        for picture, values in zip(shown, wanted, strict=True):
            np.testing.assert_array_equal(picture.get_array(), values)
        faint = [np.asarray(picture.get_alpha()) for picture in shown[1:-1]]
        np.testing.assert_allclose(faint, FAINTEST + (1 - FAINTEST) * np.stack([*one.truth[1:], one.truth[0]]))
        assert {picture.get_clim() for picture in shown} == {(0, 1)}
        assert {ax.get_aspect() for ax in column} == {2.0}


def test_lines_are_the_clean_truth_and_the_label():
    figure = drawn_raters([drawn()])
    colors = [[patch.get_edgecolor() for patch in ax.patches] for ax in figure.axes[:4]]
    assert [len(one) for one in colors] == [2, 1, 1, 1]
    truth, label = colors[0]
    assert colors[1:] == [[truth], [truth], [label]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["clean truth", "drawn rater's label"]
    assert [line.get_color() for line in figure.legends[0].get_lines()] == [TRUTH_COLOR, MODEL_COLOR]


def test_what_cannot_stand_side_by_side_is_refused():
    with pytest.raises(InputError, match="raters is empty"):
        drawn_raters([])
    with pytest.raises(InputError, match=r"have \[2, 3\] classes"):
        drawn_raters([drawn(2), drawn(3)])
