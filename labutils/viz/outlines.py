"""Masks as outlines: the exact boundary of a binary mask along pixel edges, and marks for who drew and who did not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from labutils.core.checks import require, require_shape
from labutils.viz.style import FAINT, PAPER, casing, rater_style

MOST_NAMED = 12  # raters that a legend names one by one
NICE_LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def pixel_edges(mask: np.ndarray) -> list[np.ndarray]:
    """Closed boundaries of a binary mask, along pixel edges.

    Args:
        mask: bool or integer (H, W); not zero is inside. Pixels that meet only at a corner are outlined apart.
    Returns:
        One float64 (N, 2) array a boundary (outer ones and holes), as x (column), y (row) of its corners, the first
        repeated at the end; pixel (0, 0) covers -0.5 to 0.5. Empty for an empty mask.
    """
    require_shape("mask", mask, "HW")
    inside = np.pad(np.asarray(mask) != 0, 1)
    # Each unit edge is stored as start -> end with the inside on its right (rows grow downward). Corners are on the
    # padded grid; the four kinds are the top, bottom, left and right side of an inside pixel.
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (dr, dc), start, end in (
        ((-1, 0), (0, 0), (0, 1)),
        ((0, 1), (0, 1), (1, 1)),
        ((1, 0), (1, 1), (1, 0)),
        ((0, -1), (1, 0), (0, 0)),
    ):
        outside = ~np.roll(inside, (-dr, -dc), axis=(0, 1))
        for r, c in np.argwhere(inside & outside).tolist():
            steps.setdefault((r + start[0], c + start[1]), []).append((r + end[0], c + end[1]))
    boundaries = []
    while steps:
        boundaries.append(_walk(steps))
    return boundaries


def _walk(steps: dict[tuple[int, int], list[tuple[int, int]]]) -> np.ndarray:
    """Take one closed boundary out of `steps`, keeping only the corners where it turns."""
    first = here = next(iter(steps))
    direction, corners = (0, 0), []
    while True:
        ends = steps[here]
        # Where two pixels meet at a corner, turn right: that stays with the pixel we came from.
        right = (here[0] + direction[1], here[1] - direction[0])
        there = right if right in ends else ends[0]
        ends.remove(there)
        if not ends:
            del steps[here]
        turned = (there[0] - here[0], there[1] - here[1])
        if turned != direction:
            corners.append(here)
        here, direction = there, turned
        if here == first and here not in steps:
            break
    points = np.array([*corners, corners[0]], dtype=float)
    return points[:, ::-1] - 1.5  # (row, column) on the padded grid to (x, y) at pixel edges


def outline(
    ax: Axes, mask: np.ndarray, color: str, *, line: str = "-", width: float = 1.5, label: str | None = None
) -> PathPatch | None:
    """Draw the boundary of a binary mask as one patch.

    Args:
        ax: axes in pixel coordinates, as ``imshow`` makes them.
        mask: bool or integer (H, W); not zero is inside.
        color: of the line.
        line: matplotlib line style.
        width: of the line in points.
        label: for a legend.
    Returns:
        The patch, or None for an empty mask: there is nothing to draw.
    """
    boundaries = pixel_edges(mask)
    if not boundaries:
        return None
    path = Path.make_compound_path(*(Path(points, closed=True) for points in boundaries))
    patch = PathPatch(
        path, fill=False, edgecolor=color, linewidth=width, linestyle=line, label=label, joinstyle="miter"
    )
    patch.set_path_effects(casing(color, width))
    ax.add_patch(patch)
    return patch


def check_raters(masks: np.ndarray, present: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Masks as bool (R, H, W) and who was present as bool (R,); everybody where `present` is None.

    Raises:
        InputError: shapes do not match, or there is no rater.
    """
    masks = np.asarray(masks)
    raters = require_shape("masks", masks, "RHW")["R"]
    require(raters > 0, "masks hold no rater; wanted R >= 1")
    present = np.ones(raters, dtype=bool) if present is None else np.asarray(present)
    require_shape("present", present, "R", R=raters)
    return masks != 0, present.astype(bool)


def draw_raters(ax: Axes, masks: np.ndarray, present: np.ndarray | None = None, *, width: float = 1.5) -> None:
    """Outline what every present rater drew: one patch for each rater that drew something.

    Later raters are drawn thinner, so lines that lie on one another all stay visible.
    """
    masks, present = check_raters(masks, present)
    drawn = [r for r in range(len(masks)) if present[r] and masks[r].any()]
    for place, r in enumerate(drawn):
        style = rater_style(r)
        # from 1.5 times the width for the lowest line down to the width itself for the one on top
        scale = 1 + 0.5 * (len(drawn) - 1 - place) / max(len(drawn) - 1, 1)
        outline(ax, masks[r], style.color, line=style.line, width=width * scale)


def rater_marks(
    ax: Axes, masks: np.ndarray, present: np.ndarray | None = None, *, shown: np.ndarray | None = None
) -> None:
    """One mark a rater under a picture: filled drew, ring saw nothing, cross absent; none beyond twelve raters.

    Raters that are False in `shown`, bool (R,), leave their place empty.
    """
    masks, present = check_raters(masks, present)
    if len(masks) > MOST_NAMED:
        return
    for r in range(len(masks)) if shown is None else np.flatnonzero(shown).tolist():
        mark = _mark(r, bool(present[r]), bool(masks[r].any()), "")
        mark.set_data([0.03 + 0.055 * r], [-0.05])
        mark.set(transform=ax.transAxes, clip_on=False, markersize=4.5, linestyle="none")
        ax.add_line(mark)


def rater_handles(masks: np.ndarray, present: np.ndarray | None, names: list[str] | None) -> list[Line2D]:
    """Legend entries: a line for who drew, a ring for who saw nothing, a gray cross for who was absent."""
    masks, present = check_raters(masks, present)
    if len(masks) > MOST_NAMED:
        return [Line2D([], [], color=FAINT, label=f"{int(present.sum())} raters")]
    names = names or [f"rater {r + 1}" for r in range(len(masks))]
    require(len(names) == len(masks), f"names has {len(names)} entries; wanted one for each of {len(masks)} raters")
    handles = []
    for r, name in enumerate(names):
        if present[r] and masks[r].any():
            style = rater_style(r)
            handles.append(Line2D([], [], color=style.color, linestyle=style.line, linewidth=2.2, label=name))
        else:
            handles.append(_mark(r, bool(present[r]), False, f"{name}: {'saw nothing' if present[r] else 'absent'}"))
    return handles


def line_handle(color: str, label: str) -> Line2D:
    """Legend entry for an outline that is no rater's own, such as the truth's or a model's."""
    return Line2D([], [], color=color, linewidth=2.2, label=label, path_effects=casing(color, 2.2))


def mark_handles() -> list[Line2D]:
    """Legend entries for the marks of `rater_marks`."""
    return [
        Line2D([], [], color=FAINT, marker="o", linestyle="none", markersize=5, label="drew"),
        Line2D(
            [], [], color=FAINT, marker="o", markerfacecolor=PAPER, linestyle="none", markersize=5, label="saw nothing"
        ),
        Line2D([], [], color=FAINT, marker="x", linestyle="none", markersize=5, label="absent"),
    ]


def _mark(rater: int, present: bool, drew: bool, label: str) -> Line2D:
    color = rater_style(rater).color if present else FAINT
    face = color if drew else PAPER
    marker = "o" if present else "x"
    return Line2D(
        [], [], color=color, marker=marker, markerfacecolor=face, markeredgewidth=1.3, linestyle="none", label=label
    )


class Bar(NamedTuple):
    """A scale bar: how long it is, in which unit, and how many pixels that makes."""

    length: int
    unit: str  # "mm" or "px"
    pixels: float


def bar_length(spacing_mm: tuple[float, ...] | None, columns: int) -> Bar:
    """The longest bar of a round length that takes at most a third of a picture.

    Args:
        spacing_mm: (row, column) size of a pixel, or None for a bar in pixels.
        columns: width of the picture in pixels.
    """
    step = spacing_mm[-1] if spacing_mm is not None else 1.0
    fitting = [length for length in NICE_LENGTHS if length / step <= columns / 3]
    length = fitting[-1] if fitting else NICE_LENGTHS[0]
    return Bar(length, "px" if spacing_mm is None else "mm", length / step)


def scale_bar(ax: Axes, spacing_mm: tuple[float, ...] | None, columns: int) -> None:
    """Draw the bar of `bar_length` in the lower left of axes in pixel coordinates."""
    bar = bar_length(spacing_mm, columns)
    low, left = ax.get_ylim()[0], ax.get_xlim()[0]
    height = abs(ax.get_ylim()[0] - ax.get_ylim()[1])
    x, y = left + 0.04 * columns, low - 0.05 * height
    rim = casing("", 2)
    ax.plot([x, x + bar.pixels], [y, y], color="white", linewidth=2, solid_capstyle="butt", path_effects=rim)
    text = f"{bar.length} {bar.unit}"
    ax.text(x, y - 0.02 * height, text, color="white", fontsize=7.5, va="bottom", path_effects=rim)
