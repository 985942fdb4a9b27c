"""What a sampler draws for a case, beside what the raters drew: samples as outlines, their mean and their spread.

Arrays in (numpy, or tensors on the CPU), a figure out; images and masks as in `labutils.viz.panels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labutils.core.checks import require, require_shape, require_unit_range
from labutils.core.types import Case
from labutils.viz.outlines import draw_raters, mark_handles, outline, rater_marks
from labutils.viz.panels import corner_label, show_image
from labutils.viz.style import AGREEMENT_MAP, DOUBT_MAP, MODEL_COLOR, image_axes, new_figure

SAMPLES_SHOWN = 3  # of a row: the chosen one and those after it
MOST_SPREAD = 0.5  # the standard deviation of values in [0, 1] is never larger


class Drawn(NamedTuple):
    """A few samples of one case, one of them looked at closely, and how far they are from its raters."""

    label: str  # whose samples these are, in a few words on one line or more
    case: Case
    samples: np.ndarray  # float64 (S, H, W) in [0, 1], probabilities; above 0.5 is foreground
    chosen: int  # 0 to S - 1, the sample looked at
    ged2_v: float  # squared energy distance of samples and raters, V-statistic
    diversity: float  # mean distance between the samples, V-statistic
    rater_diversity: float  # mean distance between the raters, V-statistic
    dice: tuple[float, ...]  # of the chosen sample with each of R raters; NaN where one is absent

    @property
    def mean(self) -> np.ndarray:
        """Mean of the samples' probabilities, float64 (H, W) in [0, 1]."""
        return self.samples.mean(0)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over the samples, float64 (H, W) in [0, 0.5]."""
        return self.samples.std(0)

    @property
    def area_px(self) -> float:
        """Pixels of foreground that the mean expects."""
        return float(self.mean.sum())

    @property
    def mean_dice(self) -> float:
        """Mean of the Dice with the raters who are present."""
        return float(np.nanmean(self.dice))


def drawn_rows(rows: Sequence[Drawn]) -> Figure:
    """Three samples, the chosen one first and with the raters, then mean and spread; one row an entry.

    A case with fewer samples shows them again. The spread's colors run from 0 to the largest that can be, in every
    row, so rows can be compared.

    Raises:
        InputError: there is no row.
    """
    require(len(rows) > 0, "rows is empty; wanted at least one")
    figure, axes = new_figure(len(rows), SAMPLES_SHOWN + 2, panel=(1.5, 1.6))
    for line, row in zip(axes, rows, strict=True):
        for place, ax in enumerate(line[:SAMPLES_SHOWN]):
            _draw_sample(ax, row, (row.chosen + place) % len(row.samples), with_raters=place == 0)
        label = ", ".join([*row.label.splitlines(), f"GED² {row.ged2_v:.2f}"])
        line[SAMPLES_SHOWN // 2].set_title(label)  # in the middle: layouts make room for the middle of a title
        maps = (row.mean, AGREEMENT_MAP, 1.0), (row.spread, DOUBT_MAP, MOST_SPREAD)
        for ax, (values, colors, top) in zip(line[SAMPLES_SHOWN:], maps, strict=True):
            ax.imshow(values, cmap=colors, vmin=0, vmax=top, aspect=line[0].get_aspect())
            image_axes(ax)
    for place, words in enumerate(("mean probability", "standard deviation"), start=SAMPLES_SHOWN):
        picture = axes[-1, place].images[0]
        bar = figure.colorbar(picture, ax=list(axes[:, place]), label=words, location="bottom", shrink=0.9)
        bar.outline.set_visible(False)
    figure.legend(handles=mark_handles(), loc="lower left", ncols=3)  # beside the bars, where nothing is
    return figure


def sample_sheets(sheets: Mapping[str, np.ndarray], *, columns: int = 4) -> Figure:
    """Each sampler's samples as one sheet of small maps, and under it their standard deviation.

    Args:
        sheets: by name, float (S, H, W) in [0, 1], probabilities of the foreground; the colors run from 0 to 1, those
            of the standard deviation from 0 to the largest that can be, in every sheet.
        columns: of small maps in a sheet.
    Raises:
        InputError: there is no sheet, one is empty, or a value is outside [0, 1].
    """
    require(len(sheets) > 0, "sheets is empty; wanted at least one")
    figure, axes = new_figure(2, len(sheets), panel=(min(2.3, 7 / len(sheets)), 2.2))
    for (above, below), (name, samples) in zip(axes.T, sheets.items(), strict=True):
        samples = np.asarray(samples, dtype=np.float64)
        sizes = require_shape(name, samples, "SHW")
        require(0 not in sizes.values(), f"{name} has shape {samples.shape}; wanted one sample or more")
        require_unit_range(name, samples)
        many = above.imshow(_sheet(samples, columns), cmap=AGREEMENT_MAP, vmin=0, vmax=1, interpolation="nearest")
        spread = below.imshow(samples.std(0), cmap=DOUBT_MAP, vmin=0, vmax=MOST_SPREAD, interpolation="nearest")
        above.set_title(name)
        image_axes(above)
        image_axes(below)
    for line, picture, label in zip(axes, (many, spread), ("p(foreground)", "standard deviation"), strict=True):
        bar = figure.colorbar(picture, ax=list(line), label=label, location="right", shrink=0.8)
        bar.outline.set_visible(False)
    return figure


def map_colors(name: str) -> np.ndarray:
    """The 256 colors of a map of values: uint8 (256, 3), lowest first."""
    return np.rint(255 * matplotlib.colormaps[name](np.arange(256))[:, :3]).astype(np.uint8)


def _draw_sample(ax: Axes, row: Drawn, sample: int, *, with_raters: bool) -> None:
    show_image(ax, row.case.image, row.case.spacing_mm)
    if with_raters:
        draw_raters(ax, row.case.masks, row.case.present, width=0.9)
        rater_marks(ax, row.case.masks, row.case.present)
    outline(ax, row.samples[sample] > 0.5, MODEL_COLOR, width=0.9)
    corner_label(ax, f"sample {sample + 1}")


def _sheet(samples: np.ndarray, columns: int) -> np.ndarray:
    """Maps (S, H, W) row by row on one, with a gap of blank pixels between them."""
    count, height, width = samples.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    gap = max(1, width // 16)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for at, sample in enumerate(samples):
        top, left = (height + gap) * (at // columns), (width + gap) * (at % columns)
        sheet[top : top + height, left : left + width] = sample
    return sheet
