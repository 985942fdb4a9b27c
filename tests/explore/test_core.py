import ipywidgets as widgets
import pytest

from labutils.core.checks import InputError
from labutils.explore.core import explorer
from labutils.viz.style import new_figure


def picture_of(calls):
    def render(height, bold):
        calls.append((height, bold))
        figure, axes = new_figure(panel=(1, 1))
        axes[0, 0].plot([0, height], linewidth=4 if bold else 1)
        return figure

    return render


def controls():
    return {"height": widgets.IntSlider(value=1, max=5), "bold": widgets.Checkbox(value=False)}


def test_the_picture_is_drawn_at_once_and_follows_every_control():
    calls, given = [], controls()
    box = explorer(picture_of(calls), **given)
    picture = box.children[-1]
    first = bytes(picture.value)
    assert first.startswith(b"\x89PNG")
    given["height"].value = 3
    given["bold"].value = True
    assert calls == [(1, False), (3, False), (3, True)]
    assert bytes(picture.value) != first


def test_the_same_values_give_the_same_picture():
    given = controls()
    picture = explorer(picture_of([]), **given).children[-1]
    first = bytes(picture.value)
    given["bold"].value = True
    given["bold"].value = False
    assert bytes(picture.value) == first


def test_an_error_in_render_is_not_swallowed():
    def render(height):
        raise InputError("no such case")

    with pytest.raises(InputError, match="no such case"):
        explorer(render, height=widgets.IntSlider())


@pytest.mark.parametrize("given", [{}, {"box": widgets.VBox()}])
def test_controls_without_a_value_are_refused(given):
    with pytest.raises(InputError, match="control"):
        explorer(picture_of([]), **given)
