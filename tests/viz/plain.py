"""What every figure of the book is: one that draws, whose title stands in its caption."""

from __future__ import annotations

from matplotlib.figure import Figure


def require_plain(figure: Figure) -> None:
    """Assert that a figure draws, and carries no title of its own."""
    assert isinstance(figure, Figure)
    assert figure.get_suptitle() == ""
    assert all(ax.get_title() == "" for ax in figure.axes)
    assert figure._repr_png_()
