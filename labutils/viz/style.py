"""One look for every figure: paper, type, and a color that each rater keeps through the whole book.

Figures are opaque, off-white and dark-inked, so that one picture reads on a light page, on a dark page and in print.
Nothing here touches pyplot: a `BookFigure` shows itself in a notebook and is forgotten when its name is.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import AbstractPathEffect, withStroke

PAPER = "#faf9f6"
INK = "#22262b"
FAINT = "#6b7078"  # 4.5 : 1 and more on PAPER: still text that one can read
GRID = "#dedcd5"

# Okabe and Ito's and Tol's colors, ordered so that every pair stays apart in simulated color blindness.
RATER_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#33BBEE", "#AA3377", "#332288")
RATER_LINES = ("-", "--", ":", "-.")  # the colors begin again with the next line style

TRUTH_COLOR = INK  # drawn in a light casing, where raters are drawn in a dark one
CONSENSUS_COLOR = "#ffffff"
MODEL_COLOR = "#F0E442"
AGREEMENT_MAP = "viridis"  # perceptually even, readable in color blindness, and never a gray of the image
DOUBT_MAP = "magma"

SHOWN_DPI = 96  # pixels of a page in an inch

BOOK_STYLE: dict[str, Any] = {
    "figure.dpi": 144,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same picture on every machine
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "image.interpolation": "nearest",  # a pixel is a pixel
    "image.cmap": "gray",
}


def use_book() -> None:
    """Set the book's look as matplotlib's defaults for this process."""
    matplotlib.rcParams.update(BOOK_STYLE)


class RaterStyle(NamedTuple):
    """How one rater is drawn everywhere."""

    color: str  # "#rrggbb"
    line: str  # matplotlib line style


def rater_style(rater: int) -> RaterStyle:
    """Color and line style of rater 0, 1, 2, ...: eight colors, then the same with the next of four line styles."""
    cycle, color = divmod(rater, len(RATER_COLORS))
    return RaterStyle(RATER_COLORS[color], RATER_LINES[cycle % len(RATER_LINES)])


def dashes(line: str) -> list[float]:
    """A line style as lengths of dash and gap in points, for a line of 2 points; [] for a solid line."""
    return {"-": [], "--": [7.4, 3.2], ":": [2.0, 3.3], "-.": [12.8, 3.2, 2.0, 3.2]}[line]


def casing(color: str, width: float) -> list[AbstractPathEffect]:
    """A rim of the other brightness around a line of `width` points, so it shows on dark and light tissue."""
    dark = color == TRUTH_COLOR
    return [withStroke(linewidth=width + 1.4, foreground="#ffffffe0" if dark else "#000000b0")]


class BookFigure(Figure):
    """A figure in the book's look that a notebook displays by itself, with or without pyplot.

    It is shown at its size in inches, so that letters are as large in one figure as in another; its pixels are finer.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=BOOK_STYLE["figure.dpi"], facecolor=PAPER)
        return buffer.getvalue(), {"width": round(self.get_figwidth() * SHOWN_DPI)}


class VectorFigure(Figure):
    """A drawing without pixels that a notebook displays by itself, as SVG.

    Its letters are paths, so that no font is asked for; the same drawing is the same file, byte for byte.
    """

    name = ""  # what an image viewer or a screen reader calls the drawing

    def _repr_svg_(self) -> str:
        stream = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "labutils"}):
            metadata = {"Title": self.name, "Date": None, "Creator": None}
            self.savefig(stream, format="svg", facecolor=PAPER, metadata=metadata)
        return stream.getvalue()


def new_figure(rows: int = 1, columns: int = 1, *, panel: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """An empty figure of `rows` by `columns` panels.

    Args:
        rows: panels down.
        columns: panels across.
        panel: width and height of one panel in inches.
        options: passed to ``Figure.subplots``, for example ``sharey=True``.
    Returns:
        The figure, and its axes as an object array (rows, columns).
    """
    with matplotlib.rc_context(BOOK_STYLE):
        figure = BookFigure(
            figsize=(columns * panel[0], rows * panel[1]), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
        )
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def image_axes(ax: Axes) -> None:
    """Strip an axes down to its picture: a scale bar stands in for ticks."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
