"""What filters leave: images after each of them, whose images they were, sizes between limits, and ratings.

Counts and arrays in, a figure out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labutils.core.checks import require
from labutils.viz.preparation import KEPT, Picture, draw_picture
from labutils.viz.style import AGREEMENT_MAP, FAINT, GRID, INK, PAPER, RATER_COLORS, new_figure

REMOVED = RATER_COLORS[4]


def waterfall(panels: Mapping[str, tuple[int, Mapping[str, int]]]) -> Figure:
    """How many images are left after each filter: one panel a way to prepare, one bar a filter.

    Args:
        panels: by x label, the number of candidates and how many each filter removed, in order.
    Raises:
        InputError: there is no panel, or filters remove more than there are.
    """
    require(len(panels) > 0, "panels is empty; wanted at least one")
    heights = [len(removed) + 1 for _, removed in panels.values()]
    figure, axes = new_figure(
        len(panels), 1, panel=(6.6, (sum(heights) * 0.27 + 0.65 * len(panels)) / len(panels)), height_ratios=heights
    )
    for ax, (label, (candidates, removed)) in zip(axes.flat, panels.items(), strict=True):
        _draw_filters(ax, candidates, removed)
        ax.set_xlabel(label)
    return figure


def kept_or_removed(shown: Sequence[tuple[Picture, int, Mapping[str, int]]]) -> Figure:
    """A candidate with its outlines beside what the filters leave of all candidates, one row a setting.

    Args:
        shown: the picture, the number of candidates, and how many each filter removed, in order.
    Raises:
        InputError: nothing is shown.
    """
    require(len(shown) > 0, "shown is empty; wanted at least one picture")
    figure, axes = new_figure(len(shown), 2, panel=(3.6, 2.1), width_ratios=(1, 2.2))
    for (left, right), (picture, candidates, removed) in zip(axes, shown, strict=True):
        draw_picture(left, picture)
        _draw_filters(right, candidates, removed)
    axes[-1, 1].set_xlabel("images")
    return figure


def totals(rows: Mapping[str, int], xlabel: str, *, mark: str | None = None) -> Figure:
    """Named counts as bars from zero, with the count beside each.

    Args:
        rows: by name, from top to bottom.
        xlabel: what is counted.
        mark: the row whose count is drawn as a line through all, or None.
    Raises:
        InputError: there are no rows, or none is called `mark`.
    """
    require(len(rows) > 0, "rows is empty; wanted at least one count")
    require(mark is None or mark in rows, f"there is no row {mark!r}; wanted one of {', '.join(rows)}")
    figure, axes = new_figure(panel=(5.6, 0.7 + 0.27 * len(rows)))
    ax = axes[0, 0]
    places = np.arange(len(rows))[::-1]
    bars = ax.barh(places, list(rows.values()), height=0.7, color=KEPT)
    ax.bar_label(bars, [f"{count:,}" for count in rows.values()], padding=3, fontsize=8)
    if mark is not None:
        ax.axvline(rows[mark], color=INK, linewidth=1, linestyle="--")
    ax.set_yticks(places, list(rows))
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.12)
    ax.set_xlabel(xlabel)
    ax.xaxis.set_major_formatter(_thousands)
    return figure


def shares(rows: Mapping[str, Mapping[str, int]], xlabel: str, legend: str) -> Figure:
    """Named rows of counts as parts of one bar each, with the total beside the name.

    Args:
        rows: by name, the count of every part; a part that a row lacks counts 0.
        xlabel: what the parts are shares of.
        legend: what the parts are.
    Raises:
        InputError: a row counts nothing.
    """
    totals = {name: sum(counts.values()) for name, counts in rows.items()}
    require(bool(rows) and all(totals.values()), "a row counts nothing; wanted one count or more above 0")
    parts = sorted({part for counts in rows.values() for part in counts})
    colors = matplotlib.colormaps[AGREEMENT_MAP](np.linspace(0.15, 1, len(parts)))
    figure, axes = new_figure(panel=(6.6, 1.0 + 0.34 * len(rows)))
    ax = axes[0, 0]
    places = np.arange(len(rows))[::-1]
    left = np.zeros(len(rows))
    for part, color in zip(parts, colors, strict=True):
        width = np.array([counts.get(part, 0) / totals[name] for name, counts in rows.items()])
        ax.barh(places, width, left=left, height=0.7, color=color, edgecolor=PAPER, linewidth=0.6, label=part)
        left += width
    ax.set_yticks(places, [f"{name}, n = {totals[name]:,}" for name in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(xlim=(0, 1), xlabel=xlabel)
    figure.legend(loc="outside upper center", ncols=len(parts), title=legend, columnspacing=1.2, handlelength=1.2)
    return figure


def sizes(panels: Mapping[str, np.ndarray], limits: tuple[float, float], xlabel: str, ylabel: str) -> Figure:
    """Histograms of sizes on a logarithmic axis with two limits; what lies outside them is pale.

    Args:
        panels: by name, positive sizes; a panel may be empty.
        limits: the smallest and the largest size that is kept, both excluded.
        xlabel: of every panel.
        ylabel: of the first panel.
    Raises:
        InputError: there is no panel, or a size is not positive.
    """
    require(len(panels) > 0, "panels is empty; wanted at least one")
    figure, axes = new_figure(1, len(panels), panel=(3.3, 2.5))
    for ax, (name, values) in zip(axes.flat, panels.items(), strict=True):
        values = np.asarray(values)
        require(bool((values > 0).all()), f"{name} has a size that is not positive")
        low, high = limits
        middle = np.geomspace(low, high, 15)
        ratio = middle[1] / middle[0]
        edges = np.concatenate([low / ratio ** np.arange(16, 0, -1), middle, high * ratio ** np.arange(1, 9)])
        _, _, bars = ax.hist(np.clip(values, edges[0], edges[-1]), bins=edges, color=KEPT)
        for bar, left in zip(bars, edges, strict=False):
            bar.set_alpha(1.0 if low * 0.99 < left < high * 0.99 else 0.3)
        for limit in limits:
            ax.axvline(limit, color=RATER_COLORS[0], linewidth=1.2, linestyle="--")
        ax.set_xscale("log")
        ax.set_xticks([1, 10, *limits, 4000], ["1", "10", *(f"{limit:g}" for limit in limits), "4,000"])
        ax.minorticks_off()
        ax.locator_params(axis="y", nbins=5, integer=True)
        ax.set_xlabel(f"{xlabel}\n{name}")
        ax.grid(axis="y", color=GRID)
    axes[0, 0].set_ylabel(ylabel)
    return figure


def rating_bars(panels: Mapping[str, Mapping[int, int]], ylabel: str) -> Figure:
    """Small bars of how often each rating was given, one panel a question, all on one scale.

    Args:
        panels: by question, the count of every rating from 1 on.
        ylabel: what is counted.
    Raises:
        InputError: there is no panel.
    """
    require(len(panels) > 0, "panels is empty; wanted at least one")
    columns = min(3, len(panels))
    figure, axes = new_figure(-(-len(panels) // columns), columns, panel=(2.3, 1.5), sharex=True, sharey=True)
    for ax, (question, counts) in zip(axes.flat, panels.items(), strict=False):
        ax.bar(list(counts), list(counts.values()), width=0.7, color=KEPT)
        ax.text(0.5, 0.99, question, transform=ax.transAxes, ha="center", va="top", fontsize=8.5)
        ax.set_xticks(range(1, 7))
        ax.margins(y=0.25)
        ax.locator_params(axis="y", nbins=4, integer=True)
        ax.yaxis.set_major_formatter(_thousands)
        ax.grid(axis="y", color=GRID)
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    figure.supxlabel("rating", fontsize=9)
    figure.supylabel(ylabel, fontsize=9)
    return figure


def _draw_filters(ax: Axes, candidates: int, removed: Mapping[str, int]) -> None:
    """One bar a filter: what is left in blue, what it took beside it."""
    left = candidates - np.cumsum([0, *removed.values()])
    require(int(left[-1]) >= 0, f"filters remove {candidates - left[-1]} of {candidates} candidates")
    taken, places = np.array([0, *removed.values()]), np.arange(len(left))[::-1]
    ax.barh(places, left, height=0.7, color=KEPT)
    ax.barh(places, taken, left=left, height=0.7, color=REMOVED)
    for place, stays, goes in zip(places, left, taken, strict=True):
        text = f"{stays:,}" + (f"  (−{goes:,})" if goes else "")
        ax.text(stays + goes + 0.01 * candidates, place, text, va="center", fontsize=8, color=INK)
    ax.set_yticks(places, ["candidates", *removed])
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0, candidates * 1.22)
    ax.spines["left"].set_color(FAINT)
    ax.locator_params(axis="x", nbins=5, integer=True)
    ax.xaxis.set_major_formatter(_thousands)


def _thousands(value: float, _place: float) -> str:
    return f"{value:,.0f}"
