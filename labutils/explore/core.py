"""The wiring that every explorer shares: controls on one side, a pure `render` on the other, no state in between."""

from __future__ import annotations

import io
from collections.abc import Callable

import ipywidgets as widgets
from matplotlib.figure import Figure

from labutils.core.checks import require


def explorer(render: Callable[..., Figure], **controls: widgets.Widget) -> widgets.VBox:
    """Controls above a picture that follows them; needs a running kernel.

    Args:
        render: a pure function from the controls' values, by name, to a figure.
        controls: one widget with a ``value`` for each argument of `render`.
    Returns:
        A box that a notebook displays: the controls in the order given, then the picture.
    Raises:
        InputError: there is no control, or one has no value.
    """
    require(len(controls) > 0, "explorer was given no control; wanted one for each argument of render")
    for name, control in controls.items():
        require(control.has_trait("value"), f"control {name!r} has no value to follow")
    picture = widgets.Image(format="png")

    def refresh(_change: object = None) -> None:
        figure = render(**{name: control.value for name, control in controls.items()})
        picture.value = _png(figure)

    for control in controls.values():
        control.observe(refresh, names="value")
    refresh()
    return widgets.VBox([*controls.values(), picture])


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()
