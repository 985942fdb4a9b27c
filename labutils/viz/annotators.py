"""Raters who were drawn from a model, side by side: what each makes of an image, and where each is likely to err.

Arrays in (numpy, or tensors on the CPU), a figure out; images and masks as in `labutils.viz.panels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labutils.core.checks import require
from labutils.core.types import Case
from labutils.viz.outlines import line_handle, outline
from labutils.viz.panels import show_image
from labutils.viz.style import AGREEMENT_MAP, MODEL_COLOR, TRUTH_COLOR, image_axes, new_figure

FAINTEST = 0.12  # opacity of an error where its class is not: no label has taught it there


class DrawnRater(NamedTuple):
    """What one drawn rater makes of one case, beside what the clean head takes for its truth."""

    label: str  # whose answer this is, in a few words
    case: Case
    truth: np.ndarray  # float64 (K, H, W) in [0, 1], chances of each class to be there
    errors: np.ndarray  # float64 (K, H, W) in [0, 1], chance to say another class where the truth is class k
    says: np.ndarray  # float64 (K, H, W) in [0, 1], chances of each class to be said
    truth_dice: float  # Dice of `marked` and `there`
    dice: tuple[float, ...]  # of `marked` with each of R raters; NaN where one is absent

    @property
    def there(self) -> np.ndarray:
        """Where any class but 0 is likeliest to be: bool (H, W)."""
        return self.truth.argmax(0) != 0

    @property
    def marked(self) -> np.ndarray:
        """Where any class but 0 is likeliest to be said: bool (H, W)."""
        return self.says.argmax(0) != 0

    @property
    def area_px(self) -> int:
        """Pixels that are marked."""
        return int(self.marked.sum())

    @property
    def truth_px(self) -> int:
        """Pixels where something is."""
        return int(self.there.sum())

    @property
    def mean_errors(self) -> np.ndarray:
        """The errors, each averaged over where its class is: float64 (K,), pixels weighted by the truth's chances."""
        return (self.truth * self.errors).sum((1, 2)) / self.truth.sum((1, 2))


def error_names(classes: int) -> dict[int, str]:
    """What the errors of each class are called, in the order in which they are shown."""
    missed = {k: f"chance to miss class {k}" for k in range(1, classes)} if classes > 2 else {1: "chance to miss"}
    return {**missed, 0: "chance to add"}


def drawn_raters(raters: Sequence[DrawnRater]) -> Figure:
    """A column for each drawn rater: the label on the image, the chances to err, and what is said, under one bar.

    A chance to err is faint where the clean truth is another class: there it decides nothing, and nothing taught it.

    Raises:
        InputError: there is no rater, or they do not have the same number of classes.
    """
    require(len(raters) > 0, "raters is empty; wanted at least one drawn rater")
    counts = {len(one.truth) for one in raters}
    require(len(counts) == 1, f"the drawn raters have {sorted(counts)} classes; wanted one number for all")
    names = error_names(counts.pop())
    rows = ["label", *names.values(), "chance to mark"]
    figure, axes = new_figure(len(rows), len(raters), panel=(1.5, 1.5 + 0.75 / len(rows)))
    for column, one in zip(axes.T, raters, strict=True):
        _draw_label(column[0], one)
        for ax, of in zip(column[1:], names, strict=False):
            _draw_map(ax, one, one.errors[of], opacity=FAINTEST + (1 - FAINTEST) * one.truth[of])
            outline(ax, class_region(one, of), TRUTH_COLOR, width=1.2)
        _draw_map(column[-1], one, 1 - one.says[0])
        outline(column[-1], one.marked, MODEL_COLOR, width=1.2)
        column[-1].set_xlabel(f"{one.label}\nDice {one.truth_dice:.2f}")
    for ax, name in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel(name.replace("chance to ", "chance to\n"))
    bar = figure.colorbar(axes[-1, 0].images[0], ax=axes, label="chance", location="bottom", shrink=0.6, aspect=30)
    bar.outline.set_visible(False)
    handles = [line_handle(TRUTH_COLOR, "clean truth"), line_handle(MODEL_COLOR, "drawn rater's label")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def class_region(rater: DrawnRater, of: int) -> np.ndarray:
    """Where class `of` is likeliest to be, bool (H, W); for class 0 where it is not: the line between is the same."""
    return rater.truth.argmax(0) == of if of else rater.there


def _draw_label(ax: Axes, rater: DrawnRater) -> None:
    show_image(ax, rater.case.image, rater.case.spacing_mm)
    outline(ax, rater.there, TRUTH_COLOR, width=1.2)
    outline(ax, rater.marked, MODEL_COLOR, width=1.2)


def _draw_map(ax: Axes, rater: DrawnRater, values: np.ndarray, opacity: np.ndarray | None = None) -> None:
    spacing = rater.case.spacing_mm
    aspect = 1.0 if spacing is None else spacing[0] / spacing[1]
    ax.imshow(values, cmap=AGREEMENT_MAP, vmin=0, vmax=1, aspect=aspect, alpha=opacity, interpolation="nearest")
    image_axes(ax)
