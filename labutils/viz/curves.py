"""Charts: training curves, reliability, named methods with intervals or seeds, counts, and values by a quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from labutils.core.checks import InputError, require
from labutils.viz.style import FAINT, GRID, INK, PAPER, RATER_COLORS, new_figure

ESTIMATE = RATER_COLORS[1]  # one quantity, no rater: the blue that reads on any ground


class Interval(NamedTuple):
    """One line of an `intervals` figure: a named mean and the interval around it, in the axis's unit."""

    name: str
    mean: float
    low: float
    high: float


class Runs(NamedTuple):
    """One line of a `runs` figure: a named method and the score of each of its seeds, in the axis's unit."""

    name: str
    scores: Sequence[float]
    odd: Sequence[bool] = ()  # which seeds are drawn hollow; () for none


def training_curves(history: Mapping[str, Sequence[float]]) -> Figure:
    """Loss, Dice, IoU and whatever else was kept, per epoch: one panel a quantity, one line a split.

    Args:
        history: values per epoch by name; ``"train/loss"`` and ``"validation/loss"`` share the panel "loss". NaN marks
            an epoch without a value.
    Raises:
        InputError: history is empty.
    """
    require(len(history) > 0, "history is empty; wanted at least one series")
    panels: dict[str, dict[str, Sequence[float]]] = {}
    splits: dict[str, int] = {}  # a split keeps its color in every panel
    for name, values in history.items():
        split, _, quantity = name.rpartition("/")
        panels.setdefault(quantity, {})[split] = values
        splits.setdefault(split, len(splits))
    figure, axes = new_figure(1, len(panels), panel=(2.3, 2.3))
    for ax, (quantity, lines) in zip(axes.flat, panels.items(), strict=True):
        for split, values in lines.items():
            place = splits[split]
            epochs = np.arange(1, len(values) + 1)
            ax.plot(
                epochs,
                values,
                color=RATER_COLORS[place % 8],
                linestyle=("--", "-")[place % 2],
                marker="o",
                ms=3,
                label=split,
            )
        ax.set_xlabel("epoch")
        ax.set_ylabel(quantity)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        ax.grid(axis="y", color=GRID)
        if any(lines):
            ax.legend()
    return figure


def planted_and_learned(
    planted: np.ndarray, learned: Mapping[str, Sequence[float]], xlabel: str, ylabel: str
) -> Figure:
    """What was planted against what named models learned, with the diagonal on which the two are equal.

    Args:
        planted: float (N,), values in [0, 1], ascending.
        learned: by name, N values each.
        xlabel: what was planted.
        ylabel: what was learned.
    Raises:
        InputError: a model has another number of values.
    """
    planted = np.asarray(planted)
    figure, axes = new_figure(panel=(4.4, 3.4))
    ax = axes[0, 0]
    ax.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="equal")
    for place, (name, values) in enumerate(learned.items()):
        require(len(values) == len(planted), f"{name} has {len(values)} values; wanted {len(planted)}")
        ax.plot(planted, values, color=RATER_COLORS[place % 8], marker="os^Dv"[place % 5], ms=5, label=name)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel=xlabel, ylabel=ylabel)
    ax.set_xticks(planted)
    ax.legend()
    return figure


def reliability(confidence: np.ndarray, frequency: np.ndarray, counts: np.ndarray, *, name: str = "model") -> Figure:
    """Reliability diagram: how often the foreground is there, against the probability that was said.

    Args:
        confidence: float (N,), mean predicted probability of each bin, in [0, 1].
        frequency: float (N,), share of foreground in each bin, in [0, 1]; on the diagonal is calibrated.
        counts: integer (N,), pixels in each bin; empty bins are left out.
        name: who predicted, for the legend.
    Raises:
        InputError: the three differ in length.
    """
    confidence, frequency, counts = map(np.asarray, (confidence, frequency, counts))
    require(confidence.shape == frequency.shape == counts.shape, "confidence, frequency and counts differ in length")
    filled = counts > 0
    figure, axes = new_figure(2, 1, panel=(3.8, 2.2), sharex=True, height_ratios=(5, 2))
    top, bottom = axes[:, 0]
    top.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="calibrated")
    top.plot(confidence[filled], frequency[filled], color=ESTIMATE, marker="o", ms=4, label=name, clip_on=False)
    top.set(xlim=(-0.04, 1.04), ylim=(0, 1), ylabel="share of foreground")
    top.legend()
    bottom.bar(confidence[filled], counts[filled], width=0.6 / len(counts), color=ESTIMATE)
    bottom.set_yscale("log")
    bottom.minorticks_off()
    bottom.set(xlabel="predicted probability", ylabel="pixels")
    return figure


def intervals(
    rows: Sequence[Interval],
    xlabel: str,
    *,
    floor: Interval | None = None,
    ceiling: Interval | None = None,
) -> Figure:
    """Named methods as dots with their intervals, over the bands between which a score can be read.

    Args:
        rows: drawn from top to bottom; a row whose `low` or `high` is NaN has a dot only.
        xlabel: quantity, unit and which way is better, for example ``"GED² (lower is better)"``.
        floor: what a perfect sampler scores, as a vertical band, or None.
        ceiling: what another rater scores, as a vertical band, or None.
    Raises:
        InputError: there are no rows, or a mean lies outside its interval.
    """
    require(len(rows) > 0, "rows is empty; wanted at least one method")
    for row in rows:
        if row.low > row.mean or row.mean > row.high:
            raise InputError(f"{row.name}: the mean {row.mean} is outside its interval [{row.low}, {row.high}]")
    figure, axes = new_figure(panel=(5.6, 0.75 + 0.3 * len(rows)))
    ax = axes[0, 0]
    for band, color, label in ((floor, FAINT, "floor"), (ceiling, RATER_COLORS[2], "ceiling")):
        if band is not None:
            ax.axvspan(band.low, band.high, color=color, alpha=0.18, linewidth=0, label=f"{label}: {band.name}")
            ax.axvline(band.mean, color=color, linewidth=1, linestyle="--")
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        ax.plot([row.low, row.high], [place, place], color=ESTIMATE, linewidth=2.2, solid_capstyle="butt")
        ax.plot(row.mean, place, "o", color=ESTIMATE, ms=5.5)
    _name_rows(ax, [row.name for row in rows], xlabel)
    if floor is not None or ceiling is not None:
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def runs(rows: Sequence[Runs], xlabel: str, *, odd: str = "") -> Figure:
    """Every seed of named methods as a dot, with a bar at the median of each method.

    Args:
        rows: drawn from top to bottom.
        xlabel: quantity, unit and which way is better.
        odd: what is said of hollow dots, for a legend; "" where there are none.
    Raises:
        InputError: there are no rows, a row has no seed, or not one mark for each of its seeds.
    """
    require(len(rows) > 0, "rows is empty; wanted at least one method")
    figure, axes = new_figure(panel=(5.6, 0.75 + 0.3 * len(rows)))
    ax = axes[0, 0]
    places = np.arange(len(rows))[::-1]
    for place, (name, scores, marks) in zip(places, rows, strict=True):
        fits = len(scores) > 0 and len(marks) in (0, len(scores))
        require(fits, f"{name} has {len(scores)} scores and {len(marks)} marks; wanted some, and a mark each or none")
        hollow = np.array(marks, dtype=bool) if len(marks) else np.zeros(len(scores), dtype=bool)
        colors = np.where(hollow, PAPER, ESTIMATE)
        ax.plot([np.median(scores)] * 2, [place - 0.3, place + 0.3], color=INK, linewidth=2)
        ax.scatter(scores, np.full(len(scores), place), s=30, c=colors, edgecolors=ESTIMATE, zorder=3)
    _name_rows(ax, [row.name for row in rows], xlabel)
    if odd:
        handle = Line2D([], [], marker="o", linestyle="", markerfacecolor=PAPER, color=ESTIMATE, label=odd)
        figure.legend(handles=[handle], loc="outside upper center")
    return figure


def lines(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], xlabel: str, ylabel: str) -> Figure:
    """Named lines on one pair of axes, such as a schedule over steps.

    Args:
        series: by name, the values along x and as many along y.
        xlabel: quantity and unit along x.
        ylabel: quantity and unit along y.
    Raises:
        InputError: there is no line, or one has not as many values along x as along y.
    """
    require(len(series) > 0, "series is empty; wanted at least one line")
    figure, axes = new_figure(panel=(5.6, 2.6))
    ax = axes[0, 0]
    for place, (name, (x, y)) in enumerate(series.items()):
        require(len(x) == len(y), f"{name} has {len(x)} values along x and {len(y)} along y; wanted as many")
        ax.plot(x, y, color=RATER_COLORS[place % 8], linestyle=("-", "--", ":")[place % 3], label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(axis="y", color=GRID)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def count_bars(labels: Sequence[str], counts: Sequence[int], xlabel: str, ylabel: str) -> Figure:
    """A bar a label with its count written on it."""
    figure, axes = new_figure(panel=(4.6, 2.6))
    ax = axes[0, 0]
    bars = ax.bar(range(len(labels)), counts, width=0.65, color=ESTIMATE)
    ax.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=8)
    ax.set_xticks(range(len(labels)), labels)
    ax.margins(y=0.12)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return figure


def value_histogram(values: np.ndarray, xlabel: str, ylabel: str, *, estimate: Interval, bins: int = 20) -> Figure:
    """How values in [0, 1] are spread, with their mean and its interval as a line in a band."""
    figure, axes = new_figure(panel=(4.6, 2.7))
    ax = axes[0, 0]
    ax.hist(np.asarray(values), bins=np.linspace(0, 1, bins + 1), color=ESTIMATE, edgecolor="white", linewidth=0.5)
    ax.axvspan(estimate.low, estimate.high, color=RATER_COLORS[0], alpha=0.3, linewidth=0)
    ax.axvline(estimate.mean, color=RATER_COLORS[0], label=estimate.name)
    ax.set(xlim=(0, 1), xlabel=xlabel, ylabel=ylabel)
    figure.legend(loc="outside upper center")
    return figure


def groups(panels: Mapping[str, tuple[Sequence[str], Sequence[np.ndarray]]], ylabel: str, *, seed: int = 0) -> Figure:
    """Values by group: every value a faint dot, the median a bar from the first to the third quartile.

    Args:
        panels: by x label, the names of the groups and one float (N,) array each; a group may be empty.
        ylabel: quantity and unit of the values.
        seed: of the sideways scatter that keeps dots apart; it carries no meaning.
    """
    require(len(panels) > 0, "panels is empty; wanted at least one")
    figure, axes = new_figure(1, len(panels), panel=(3.5, 2.8), sharey=True)
    rng = np.random.default_rng(seed)
    for ax, (xlabel, (names, values)) in zip(axes.flat, panels.items(), strict=True):
        for place, group in enumerate(values):
            _group(ax, place, np.asarray(group, dtype=float), rng)
        ax.set_xticks(range(len(names)), [f"{n}\nn = {len(v)}" for n, v in zip(names, values, strict=True)])
        ax.set_xlim(-0.6, len(names) - 0.4)
        ax.set_xlabel(xlabel)
        ax.grid(axis="y", color=GRID)
    axes[0, 0].set_ylabel(ylabel)
    return figure


def _group(ax: Axes, place: int, values: np.ndarray, rng: np.random.Generator) -> None:
    if not len(values):
        return
    sideways = place + rng.uniform(-0.25, 0.25, len(values))
    ax.plot(sideways, values, ".", color=ESTIMATE, alpha=0.5, markersize=5.5, markeredgewidth=0)
    first, median, third = np.quantile(values, (0.25, 0.5, 0.75))
    ax.plot([place, place], [first, third], color=INK, linewidth=5, alpha=0.35, solid_capstyle="butt")
    ax.plot([place - 0.3, place + 0.3], [median, median], color=INK, linewidth=2)


def _name_rows(ax: Axes, names: Sequence[str], xlabel: str) -> None:
    """Names down the left side, first on top, and a grid to read values by."""
    ax.set_yticks(np.arange(len(names))[::-1], names)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel(xlabel)
    ax.grid(axis="x", color=GRID)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
