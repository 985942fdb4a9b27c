"""How images become cases: pictures with a name, a crop in its slice, the rule at an outline, boxes that overlap.

Arrays in, a figure out. Images are float (C, H, W) or (H, W) in [0, 1]; masks are (R, H, W), not zero is foreground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon, Rectangle

from labutils.core.checks import require, require_shape
from labutils.viz.outlines import draw_raters, rater_handles
from labutils.viz.panels import Spacing, corner_label, show_image
from labutils.viz.style import INK, MODEL_COLOR, PAPER, RATER_COLORS, casing, new_figure

KEPT = RATER_COLORS[1]


class Picture(NamedTuple):
    """An image with a few words in its corner and, where there are any, its raters' outlines."""

    label: str
    image: np.ndarray
    masks: np.ndarray | None = None
    spacing_mm: Spacing = None  # None gives a scale bar in pixels


def pictures(shown: Sequence[Picture], *, columns: int = 4, side_in: float = 1.75) -> Figure:
    """A grid of named pictures; sizes and spacings may differ.

    Args:
        shown: what is shown, row by row.
        columns: pictures a row.
        side_in: width of a picture in inches.
    Raises:
        InputError: there is no picture.
    """
    require(len(shown) > 0, "shown is empty; wanted at least one picture")
    columns = min(columns, len(shown))
    figure, axes = new_figure(-(-len(shown) // columns), columns, panel=(side_in, side_in * 1.06))
    for ax, picture in zip(axes.flat, shown, strict=False):
        draw_picture(ax, picture)
    for ax in axes.flat[len(shown) :]:
        ax.remove()
    return figure


def slice_to_crop(
    image: np.ndarray, window: tuple[slice, slice], masks: np.ndarray, *, spacing_mm: Spacing = None
) -> Figure:
    """A whole slice with the place of a crop in it, the crop, and the crop with everyone's outline.

    Args:
        image: float (H, W) in [0, 1].
        window: rows and columns of the crop.
        masks: (R, h, w) on the crop's pixels.
        spacing_mm: (row, column) of both, as the crop is cut and not resampled; None gives pixels.
    Raises:
        InputError: masks are not of the crop's size.
    """
    crop = np.asarray(image)[window]
    require_shape("masks", masks, "RHW", H=crop.shape[0], W=crop.shape[1])
    figure, axes = new_figure(1, 3, panel=(2.45, 2.8))
    for ax, picture in zip(axes.flat, (image, crop, crop), strict=True):
        show_image(ax, picture, spacing_mm)
    rows, columns = window
    corner, size = (columns.start - 0.5, rows.start - 0.5), (columns.stop - columns.start, rows.stop - rows.start)
    box = Rectangle(corner, *size, fill=False, edgecolor=MODEL_COLOR, linewidth=1.4, path_effects=casing("", 1.4))
    axes[0, 0].add_patch(box)
    draw_raters(axes[0, 2], masks)
    figure.legend(handles=rater_handles(masks, None, None), loc="outside lower center", ncols=4)
    return figure


def edge_rule(points: np.ndarray, inside: np.ndarray, kept: np.ndarray) -> Figure:
    """Pixels that an outline runs through, those inside it, and those that belong to the mask.

    Args:
        points: float (V, 2): row, column of the outline's corners.
        inside: bool (H, W), pixel centers inside the closed outline.
        kept: bool (H, W), those of them that the mask keeps.
    Raises:
        InputError: shapes do not match.
    """
    sizes = require_shape("inside", inside, "HW")
    require_shape("kept", kept, "HW", H=sizes["H"], W=sizes["W"])
    require_shape("points", points, "VA", A=2)
    figure, axes = new_figure(panel=(5.0, 3.3))
    ax = axes[0, 0]
    too_near = ("#f2d8a7", "///")
    for row, column in np.argwhere(inside):
        color, hatch = (KEPT, None) if kept[row, column] else too_near
        square = (column - 0.5, row - 0.5)
        ax.add_patch(Rectangle(square, 1, 1, facecolor=color, hatch=hatch, edgecolor=PAPER, linewidth=0.8))
    ax.add_patch(Polygon(points[:, ::-1], fill=False, edgecolor=RATER_COLORS[0], linewidth=2))
    ax.plot(*points[:, ::-1].T, "o", color=RATER_COLORS[0], markersize=6)
    grid = np.mgrid[: sizes["H"], : sizes["W"]].reshape(2, -1)
    ax.plot(grid[1], grid[0], ".", color=INK, markersize=2.5)
    ax.set(xlim=(-0.6, sizes["W"] - 0.4), ylim=(sizes["H"] - 0.4, -0.6), aspect="equal", xlabel="column", ylabel="row")
    handles = [
        Line2D([], [], color=RATER_COLORS[0], marker="o", label="outline"),
        Patch(facecolor=KEPT, label="in the mask"),
        Patch(facecolor=too_near[0], hatch=too_near[1], edgecolor=PAPER, label="inside, too near"),
        Line2D([], [], color=INK, marker=".", linestyle="none", label="pixel center"),
    ]
    figure.legend(handles=handles, loc="outside right center")
    return figure


def box_groups(boxes: Mapping[str, tuple[np.ndarray, np.ndarray]], groups: Sequence[Sequence[str]]) -> Figure:
    """Named boxes, each with the color of its group.

    Args:
        boxes: by name, the lowest and the highest row and column, (2,) each.
        groups: the names in each group.
    Raises:
        InputError: a box is in no group.
    """
    of_box = {name: place for place, group in enumerate(groups) for name in group}
    missing = [name for name in boxes if name not in of_box]
    require(not missing, f"boxes {missing} are in no group")
    figure, axes = new_figure(panel=(5.0, 2.6))
    ax = axes[0, 0]
    for name, (low, high) in boxes.items():
        color, (height, width) = RATER_COLORS[of_box[name]], np.subtract(high, low)
        ax.add_patch(Rectangle((low[1], low[0]), width, height, facecolor=f"{color}22", edgecolor=color, linewidth=2))
        ax.text(low[1] + 0.3, low[0] + 0.3, name, va="top", color=INK)
    ends = np.array(list(boxes.values()))
    bottom, right = ends[:, 1].max(axis=0)
    ax.set(xlim=(ends[:, 0, 1].min() - 1, right + 1), ylim=(bottom + 1, ends[:, 0, 0].min() - 1), aspect="equal")
    ax.set(xlabel="column", ylabel="row")
    handles = [Patch(facecolor=RATER_COLORS[place], label=f"group {place + 1}") for place in range(len(groups))]
    figure.legend(handles=handles, loc="outside right center")
    return figure


def draw_picture(ax: Axes, picture: Picture) -> None:
    """A named picture in axes of its own."""
    show_image(ax, picture.image, picture.spacing_mm)
    if picture.masks is not None:
        draw_raters(ax, picture.masks, width=1.2)
    corner_label(ax, picture.label)
