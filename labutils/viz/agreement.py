"""Where raters agree: votes as a map, beside the outlines they were counted from.

Arrays in (numpy, or tensors on the CPU), a figure out; images and masks as in `labutils.viz.panels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.figure import Figure

from labutils.core.checks import require, require_shape
from labutils.core.types import Case
from labutils.viz.outlines import check_raters, draw_raters, mark_handles, outline, rater_marks
from labutils.viz.panels import Spacing, show_image
from labutils.viz.style import AGREEMENT_MAP, CONSENSUS_COLOR, FAINT, INK, RATER_COLORS, new_figure

CUT_COLOR, CHOSEN_COLOR = CONSENSUS_COLOR, RATER_COLORS[1]


class Position(NamedTuple):
    """What is seen of one case: who is counted, where their votes are cut, and how well they stand for all."""

    case: Case
    counted: np.ndarray  # bool (R,)
    threshold: int  # 1 to 9, in tenths of the raters who are counted
    dice: tuple[float, ...]  # at each of the nine thresholds, with the votes of everybody

    @property
    def score(self) -> float:
        """Mean of the nine Dice."""
        return float(np.mean(self.dice))


def agreement_map(
    votes: np.ndarray, raters: int, *, image: np.ndarray | None = None, spacing_mm: Spacing = None
) -> Figure:
    """How many raters marked each pixel, over the image; pixels that nobody marked stay bare.

    Args:
        votes: integer (H, W), 0 to `raters`.
        raters: number of raters that judged the case; at most eight have one color step each.
        image: float (C, H, W) or (H, W) in [0, 1], or None for a blank ground.
        spacing_mm: (row, column) for the scale bar; None gives pixels.
    Raises:
        InputError: more votes than raters, or shapes that are not (H, W).
    """
    votes = np.asarray(votes)
    require_shape("votes", votes, "HW")
    require(raters > 0 and votes.min() >= 0 and votes.max() <= raters, f"votes must run from 0 to raters = {raters}")
    figure, axes = new_figure(panel=(4.2, 3.4))
    ax = axes[0, 0]
    show_image(ax, np.zeros(votes.shape) if image is None else image, spacing_mm)
    _draw_votes(ax, votes, raters)
    return figure


def outlines_and_votes(cases: Sequence[Case]) -> Figure:
    """Every rater's outline beside the votes, one row a 2D case; an absent rater is neither drawn nor counted.

    Raises:
        InputError: there is no case.
    """
    require(len(cases) > 0, "cases is empty; wanted at least one case")
    figure, axes = new_figure(len(cases), 2, panel=(3.1, 2.75))
    for (left, right), case in zip(axes, cases, strict=True):
        _outlines_beside_votes(left, right, case, np.asarray(case.present))
    figure.legend(handles=mark_handles(), loc="outside lower center", ncols=3)
    return figure


def positions(rows: Sequence[Position]) -> Figure:
    """Outlines, votes with the line where they are cut, and the Dice at nine thresholds; one row a position.

    Raises:
        InputError: there is no position.
    """
    require(len(rows) > 0, "rows is empty; wanted at least one position")
    figure, axes = new_figure(len(rows), 3, panel=(2.55, 2.5))
    for (left, middle, right), row in zip(axes, rows, strict=True):
        _outlines_beside_votes(left, middle, row.case, row.counted, label="votes (of {})")
        if row.counted.any():
            votes, raters = (row.case.masks[row.counted] != 0).sum(0), int(row.counted.sum())
            outline(middle, 10 * votes >= row.threshold * raters, CUT_COLOR, width=1.6)
        _dice_bars(right, row)
    figure.legend(handles=mark_handles(), loc="outside lower center", ncols=3)
    return figure


def vote_colors(raters: int) -> np.ndarray:
    """The color of 1, 2, ... R votes: float (R, 4), red to alpha in [0, 1]; all raters agreeing is the brightest."""
    # The darkest quarter of the map is left out, to stand off dark tissue.
    places = np.linspace(0.25, 1, raters) if raters > 1 else np.ones(1)
    return matplotlib.colormaps[AGREEMENT_MAP](places)


def _outlines_beside_votes(left: Axes, right: Axes, case: Case, counted: np.ndarray, **label: str) -> None:
    masks, present = check_raters(case.masks, case.present)
    show_image(left, case.image, case.spacing_mm)
    draw_raters(left, masks, counted)
    rater_marks(left, masks, present, shown=counted | ~present)
    show_image(right, case.image, case.spacing_mm)
    _draw_votes(right, masks[counted].sum(0), int(counted.sum()), **label)


def _dice_bars(ax: Axes, row: Position) -> None:
    tenths = np.arange(1, 10)
    colors = [CHOSEN_COLOR if t == row.threshold else FAINT for t in tenths]
    ax.bar(tenths / 10, row.dice, width=0.07, color=colors)
    ax.axhline(row.score, color=INK, linewidth=0.8, linestyle=":")
    ax.set(
        ylim=(0, 1.02), xticks=[0.1, 0.5, 0.9], yticks=[0, 0.5, 1], xlabel="threshold", ylabel="Dice with all raters"
    )
    ax.set_box_aspect(1)


def _draw_votes(ax: Axes, votes: np.ndarray, raters: int, label: str = "raters who marked the pixel (of {})") -> None:
    """Votes as colors with a bar beside them; one step a rater up to eight raters. Nothing where nobody is counted."""
    if raters == 0:
        return
    found = vote_colors(raters)
    colors = ListedColormap(found if raters > 1 else np.repeat(found, 2, axis=0))
    stepped = raters <= 8
    norm: Normalize = BoundaryNorm(np.arange(0.5, raters + 1), colors.N) if stepped else Normalize(0, raters)
    ax.imshow(np.ma.masked_equal(votes, 0), cmap=colors, norm=norm, alpha=0.85, aspect=ax.get_aspect())
    bar = ax.figure.colorbar(ScalarMappable(norm, colors), ax=ax, shrink=0.85)
    bar.set_label(label.format(raters))
    if stepped:
        bar.set_ticks(range(1, raters + 1))
        bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
