"""Pictures of two sets of masks: their pairs, how a score moves with a count, and shapes with their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from labutils.core.checks import InputError, require, require_same_shape, require_shape
from labutils.viz.curves import ESTIMATE
from labutils.viz.outlines import draw_raters, outline
from labutils.viz.panels import Spacing, show_image
from labutils.viz.style import (
    AGREEMENT_MAP,
    FAINT,
    GRID,
    INK,
    MODEL_COLOR,
    PAPER,
    RATER_COLORS,
    casing,
    image_axes,
    new_figure,
    rater_style,
)

MOST_WRITTEN = 10  # rows of a matrix whose values are written into it
PAIR_LINES = {"within samples": ("#9a8700", "--"), "within raters": (RATER_COLORS[1], ":"), "cross": (FAINT, "-")}
GROUND = 0.35  # gray behind shapes that lie on no image: every outline shows on it


class TwoSets(NamedTuple):
    """One panel of a `shapes_and_scores` figure."""

    raters: np.ndarray  # (R, H, W), not zero is inside
    samples: np.ndarray  # (S, H, W)
    scores: Mapping[str, float]  # by name, written below the shapes


def two_sets(distance: np.ndarray, samples: int) -> Figure:
    """Samples and raters as points whose gaps follow their distances, beside the matrix of those distances.

    Args:
        distance: float (S + R, S + R), symmetric with zero diagonal, samples first.
        samples: S, 1 or more and fewer than the rows.
    Raises:
        InputError: the matrix is not square or not symmetric, or one of the two sets is empty.
    Notes:
        The plane is the best flat picture of the distances (classical scaling), so gaps on it are approximate.
    """
    distance = np.asarray(distance, dtype=float)
    square = distance.ndim == 2 and distance.shape[0] == distance.shape[1]
    require(square and np.allclose(distance, distance.T), f"distance of shape {distance.shape} is not symmetric")
    require(0 < samples < len(distance), f"samples is {samples}; wanted 1 to {len(distance) - 1}")
    figure, axes = new_figure(1, 2, panel=(3.7, 3.5))
    _plane(axes[0, 0], _flat(distance), samples)
    _matrix(axes[0, 1], distance, samples)
    handles = [Line2D([], [], color=color, linestyle=line, label=name) for name, (color, line) in PAIR_LINES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def means_by_count(
    counts: Sequence[int], lines: Mapping[str, np.ndarray], xlabel: str, ylabel: str, *, zero: bool = True
) -> Figure:
    """Means with their intervals against a count (of samples, of raters), one line a method.

    Args:
        counts: N whole numbers, drawn at equal steps.
        lines: by name, float (N, 3): mean, low and high; NaN leaves a gap.
        xlabel: what is counted.
        ylabel: quantity, unit and which way is better.
        zero: draw the zero line.
    Raises:
        InputError: there is no line, or one is not (N, 3).
    """
    require(len(lines) > 0, "lines is empty; wanted at least one")
    figure, axes = new_figure(panel=(5.6, 3.2))
    ax = axes[0, 0]
    if zero:
        ax.axhline(0, color=FAINT, linewidth=0.8)
    places = np.arange(len(counts))
    for order, (name, values) in enumerate(lines.items()):
        values = np.asarray(values, dtype=float)
        if values.shape != (len(counts), 3):
            raise InputError(f"{name} has shape {values.shape}; wanted ({len(counts)}, 3): mean, low, high")
        color, shift = RATER_COLORS[order % 8], 0.06 * (order - (len(lines) - 1) / 2)
        ax.plot(places + shift, values[:, 0], color=color, marker="os^Dv"[order % 5], ms=4.5, linewidth=1.1, label=name)
        ax.vlines(places + shift, values[:, 1], values[:, 2], color=color, linewidth=2)
    ax.set_xticks(places, [str(count) for count in counts])
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(axis="y", color=GRID)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def sample_rows(stacks: Mapping[str, np.ndarray], *, columns: int = 4) -> Figure:
    """Masks that are a single row of pixels, stacked: one panel a set, one line a mask, dark where it is marked.

    Args:
        stacks: by name, (N, W) masks, not zero is inside.
        columns: panels a row.
    Raises:
        InputError: there is no set, or one is not (N, W).
    """
    require(len(stacks) > 0, "stacks is empty; wanted at least one")
    columns = min(columns, len(stacks))
    figure, axes = new_figure(-(-len(stacks) // columns), columns, panel=(1.9, 1.45))
    for ax, (name, masks) in zip(axes.flat, stacks.items(), strict=False):
        rows = require_shape(name, masks, "SW")["S"]
        ax.imshow(np.asarray(masks) != 0, cmap=ListedColormap([GRID, ESTIMATE]), vmin=0, vmax=1, aspect="auto")
        image_axes(ax)
        for edge in range(1, rows):
            ax.axhline(edge - 0.5, color=PAPER, linewidth=0.8)
        ax.set_xlabel(name)
    for ax in axes.flat[len(stacks) :]:
        ax.remove()
    return figure


def shapes_and_scores(panels: Sequence[TwoSets], *, spacing_mm: Spacing = None) -> Figure:
    """Shapes of raters in their colors and of samples in yellow, with the scores of each panel below it.

    Args:
        panels: one or more; all masks of a panel have one size. A score that is NaN is written as undefined.
        spacing_mm: (row, column) for the scale bar; None gives pixels.
    Raises:
        InputError: there is no panel, or the sizes of its masks differ.
    """
    require(len(panels) > 0, "panels is empty; wanted at least one")
    figure, axes = new_figure(1, len(panels), panel=(2.6, 3.3))
    for ax, panel in zip(axes.flat, panels, strict=True):
        raters, samples = np.asarray(panel.raters), np.asarray(panel.samples)
        require_shape("raters", raters, "RHW")
        require_shape("samples", samples, "SHW")
        require_same_shape("a rater's mask", raters[0], "a sample", samples[0])
        show_image(ax, np.full(raters.shape[1:], GROUND), spacing_mm)
        draw_raters(ax, raters, width=3.0)  # seen beside a sample on the same line, too
        for place, mask in enumerate(samples):
            outline(ax, mask, MODEL_COLOR, line=("-", "--")[place % 2], width=1.4)
        text = "\n".join(f"{name}  {_score(value)}" for name, value in panel.scores.items())
        ax.text(0.5, -0.04, text, transform=ax.transAxes, ha="center", va="top", linespacing=1.5)
    handles = [Line2D([], [], color=rater_style(r).color, label=f"rater {r + 1}") for r in range(len(raters))]
    handles.append(Line2D([], [], color=MODEL_COLOR, label="samples", path_effects=casing(MODEL_COLOR, 1.6)))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _score(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.3f}".replace("-", "−")


def _flat(distance: np.ndarray) -> np.ndarray:
    """Points (N, 2) by classical scaling: the two leading axes of the doubly centered squared distances."""
    centering = np.eye(len(distance)) - 1 / len(distance)
    values, vectors = np.linalg.eigh(-0.5 * centering @ distance**2 @ centering)
    points = vectors[:, ::-1][:, :2] * np.sqrt(np.clip(values[::-1][:2], 0, None))
    return np.column_stack([points, np.zeros((len(points), 2 - points.shape[1]))])


def _plane(ax: Axes, points: np.ndarray, samples: int) -> None:
    for i in range(len(points)):
        for j in range(i):
            kind = "cross" if (j < samples) != (i < samples) else "within samples" if i < samples else "within raters"
            color, line = PAIR_LINES[kind]
            ax.plot(*points[[i, j]].T, color=color, linestyle=line, linewidth=0.9 if kind == "cross" else 1.7, zorder=1)
    middle = points.mean(axis=0)
    for i, (x, y) in enumerate(points):
        color = MODEL_COLOR if i < samples else rater_style(i - samples).color
        marker = "s" if i < samples else "o"
        ax.plot(x, y, marker, color=color, markeredgecolor=INK, markersize=9, zorder=2)
        outward = points[i] - middle
        away = 13 * outward / max(float(np.linalg.norm(outward)), 1e-9)  # points on paper
        ax.annotate(_name(i, samples), (x, y), away, textcoords="offset points", ha="center", va="center")
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.16)
    image_axes(ax)


def _matrix(ax: Axes, distance: np.ndarray, samples: int) -> None:
    picture = ax.imshow(distance, cmap=AGREEMENT_MAP, vmin=0, vmax=1)
    names = [_name(i, samples) for i in range(len(distance))]
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for draw in (ax.axhline, ax.axvline):
        draw(samples - 0.5, color=PAPER, linewidth=4)
    if len(distance) <= MOST_WRITTEN:
        for (i, j), value in np.ndenumerate(distance):
            ink = INK if value > 0.6 else "white"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink)
    ax.figure.colorbar(picture, ax=ax, label="distance d = 1 − IoU", shrink=0.8).outline.set_visible(False)


def _name(place: int, samples: int) -> str:
    return f"s{place + 1}" if place < samples else f"y{place - samples + 1}"
