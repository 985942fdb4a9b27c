import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.viz import matrices
from tests.viz.plain import require_plain

NAMES = ["careful", "over"]
PLANTED = np.array([[[0.9, 0.2], [0.1, 0.8]], [[0.4, 0.0], [0.6, 1.0]]])
FOUND = PLANTED[::-1]
MAPS = np.linspace(0, 1, 2 * 6 * 6).reshape(2, 6, 6)
TRUTH = np.pad(np.ones((2, 2), np.uint8), 2)

FIGURES = {
    "confusion_matrices": lambda: matrices.confusion_matrices({"planted": PLANTED, "found": FOUND}, NAMES),
    "rater_maps": lambda: matrices.rater_maps({"planted": MAPS, "found": 1 - MAPS}, NAMES, "p", truth=TRUTH),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_row_is_a_source_and_a_column_a_rater(name):
    figure = FIGURES[name]()
    require_plain(figure)
    grid = np.array(figure.axes[:4]).reshape(2, 2)
    assert [ax.get_ylabel().split("\n")[0] for ax in grid[:, 0]] == ["planted", "found"]
    assert [ax.get_xlabel().split("\n")[-1] for ax in grid[1]] == NAMES


def test_entries_stand_where_their_row_and_column_are():
    ax = FIGURES["confusion_matrices"]().axes[0]
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(j, i): f"{PLANTED[0, i, j]:.2f}" for i in range(2) for j in range(2)}


def test_numbers_are_white_on_dark_entries_alone():
    ax = FIGURES["confusion_matrices"]().axes[1]
    assert {text.get_text(): text.get_color() == "white" for text in ax.texts} == {
        "0.40": False,
        "0.00": False,
        "0.60": True,
        "1.00": True,
    }


def test_every_map_has_its_values_one_scale_and_the_truth():
    figure = FIGURES["rater_maps"]()
    pictures = [ax.images[0] for ax in figure.axes[:4]]
    np.testing.assert_array_equal([p.get_array() for p in pictures], [*MAPS, *(1 - MAPS)])
    assert {p.get_clim() for p in pictures} == {(0, 1)}
    assert [len(ax.patches) for ax in figure.axes[:4]] == [1] * 4
    assert figure.axes[4].get_xlabel() == "p"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: matrices.confusion_matrices({}, NAMES), "matrices is empty"),
        (lambda: matrices.confusion_matrices({"found": PLANTED[:, :1]}, NAMES), "found has shape"),
        (lambda: matrices.confusion_matrices({"found": PLANTED[:1]}, NAMES), "found"),
        (lambda: matrices.confusion_matrices({"found": PLANTED * np.nan}, NAMES), "outside"),
        (lambda: matrices.rater_maps({}, NAMES, "p"), "maps is empty"),
        (lambda: matrices.rater_maps({"found": MAPS[0]}, NAMES, "p"), "found"),
        (lambda: matrices.rater_maps({"found": MAPS + 0.1}, NAMES, "p"), "outside"),
    ],
)
def test_what_is_no_matrix_or_map_is_refused(draw, message):
    with pytest.raises(InputError, match=message):
        draw()
