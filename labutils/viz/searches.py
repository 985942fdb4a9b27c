"""What a search found: every trial's value in its order, and against each setting that was searched."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from labutils.core.checks import InputError, require
from labutils.viz.style import FAINT, GRID, INK, PAPER, RATER_COLORS, new_figure

COLUMNS = 3
DOT = RATER_COLORS[1]
BEST = RATER_COLORS[0]


class Trials(NamedTuple):
    """N trials in the order in which they ended."""

    numbers: Sequence[int]  # what each is called
    values: Sequence[float]  # of the goal; NaN of a trial that failed
    complete: Sequence[bool]  # False for a trial that was stopped early, whose value is the last it had, or failed
    settings: Mapping[str, Sequence[Any]]  # by name, what each trial had: numbers, or words


def trials_found(
    trials: Trials,
    ylabel: str,
    *,
    lower: bool,
    limits: Mapping[str, tuple[float, float]] | None = None,
    log: Collection[str] = (),
) -> Figure:
    """The best so far by trial, and the values against each setting.

    A panel shows one setting, while the others changed with it, and a search looks more often where it has found
    something: dots are no sample of a curve. Only complete trials can be best; one stopped early is hollow, and one
    that failed a cross at the edge where values are worse. The legend says how many there are of each.

    Args:
        trials: one or more.
        ylabel: the goal, with its unit and which way is better.
        lower: whether less is better.
        limits: lowest and highest number that settings could have, which their axes show; else what they had.
        log: settings whose axis is logarithmic; those that are words have an axis of words.
    Raises:
        InputError: there is no trial, or not one value, mark and setting for each.
    """
    values, complete = np.asarray(trials.values, dtype=float), np.asarray(trials.complete, dtype=bool)
    require(len(values) > 0, "there is no trial to draw; wanted one or more")
    columns: dict[str, Sequence[Any]] = {"numbers": trials.numbers, "complete": trials.complete, **trials.settings}
    for name, column in columns.items():
        require(len(column) == len(values), f"{name} has {len(column)} entries; wanted {len(values)}, one a trial")
    if np.isnan(values[complete]).any():
        raise InputError("a complete trial has no value; wanted NaN for trials that failed alone")
    rows = -(-(1 + len(trials.settings)) // COLUMNS)
    figure, axes = new_figure(rows, min(COLUMNS, 1 + len(trials.settings)), panel=(2.5, 2.2), sharey=True)
    best = _best(values, complete, lower)
    worst = _edge(values, lower)
    first, *others = axes.flat
    _dots(first, np.asarray(trials.numbers), values, complete, best, worst)
    _best_so_far(first, trials.numbers, values, complete, lower)
    first.set_xlabel("trial")
    first.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    for ax, (name, column) in zip(others, trials.settings.items(), strict=False):
        _dots(ax, _places(ax, column, (limits or {}).get(name), name in log), values, complete, best, worst)
        ax.set_xlabel(name)
    for ax in others[len(trials.settings) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)
    figure.legend(handles=_legend(trials, best), loc="outside upper center", ncols=3)
    return figure


def _best(values: np.ndarray, complete: np.ndarray, lower: bool) -> int | None:
    if not complete.any():
        return None
    known = np.where(complete, values if lower else -values, np.inf)
    return int(known.argmin())


def _edge(values: np.ndarray, lower: bool) -> float:
    """Where trials that failed are drawn: beyond the worst value there is."""
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0
    beyond = 0.1 * (float(np.ptp(known)) or abs(float(known[0])) or 1.0)
    return float(known.max()) + beyond if lower else float(known.min()) - beyond


def _places(ax: Axes, column: Sequence[Any], limits: tuple[float, float] | None, log: bool) -> np.ndarray:
    """Positions on the horizontal axis, which is set up for them."""
    if all(isinstance(entry, int | float) and not isinstance(entry, bool) for entry in column):
        low, high = limits or (min(column), max(column))
        if log:
            ax.set_xscale("log")
            ax.set_xticks(_log_ticks(low, high))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.minorticks_off()
        elif all(isinstance(entry, int) for entry in column):
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        ax.update_datalim([(low, 0), (high, 0)], updatey=False)  # all that could be drawn is shown, not only what was
        return np.asarray(column, dtype=float)
    words = sorted({str(entry) for entry in column})
    ax.set_xticks(range(len(words)), words)
    ax.set_xlim(-0.5, len(words) - 0.5)
    return np.array([words.index(str(entry)) for entry in column], dtype=float)


def _log_ticks(low: float, high: float) -> list[float]:
    """At most four of the powers of ten in the range or, where there are fewer than two, of their 1, 2 and 5 folds."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for folds in ((1,), (1, 2, 5)):
        ticks = [fold * 10.0**power for power in powers for fold in folds]
        inside = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(inside) >= 2:
            return inside[:: -(-len(inside) // 4)]
    return [low, high]


def _dots(
    ax: Axes, places: np.ndarray, values: np.ndarray, complete: np.ndarray, best: int | None, worst: float
) -> None:
    failed = np.isnan(values)
    stopped = ~complete & ~failed
    ax.plot(places[complete], values[complete], "o", color=DOT, ms=5)
    ax.plot(places[stopped], values[stopped], "o", color=DOT, markerfacecolor=PAPER, ms=5)
    ax.plot(places[failed], np.full(failed.sum(), worst), "x", color=FAINT, ms=5)
    if best is not None:
        ax.plot(places[best], values[best], "D", color=BEST, ms=7)
    ax.grid(axis="y", color=GRID)


def _best_so_far(ax: Axes, numbers: Sequence[int], values: np.ndarray, complete: np.ndarray, lower: bool) -> None:
    known = np.where(complete, values if lower else -values, np.inf)
    so_far = np.minimum.accumulate(known)
    so_far = np.where(np.isfinite(so_far), so_far if lower else -so_far, np.nan)
    ax.step(numbers, so_far, where="post", color=INK, linewidth=1.2)


def _legend(trials: Trials, best: int | None) -> list[Line2D]:
    done, failed = sum(map(bool, trials.complete)), int(np.isnan(np.asarray(trials.values, dtype=float)).sum())
    kinds = (
        (done, "complete", "o", DOT, DOT),
        (len(trials.values) - done - failed, "stopped early", "o", DOT, PAPER),
        (failed, "failed", "x", FAINT, FAINT),
    )
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=color, markerfacecolor=face, label=f"{count} {what}")
        for count, what, marker, color, face in kinds
        if count
    ]
    if best is not None:
        name = f"best, trial {trials.numbers[best]}"
        handles.append(Line2D([], [], linestyle="", marker="D", color=BEST, label=name))
        handles.append(Line2D([], [], color=INK, linewidth=1.2, label="best so far"))
    return handles
