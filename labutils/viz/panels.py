"""Pictures of cases: every rater's outline on the image, where raters agree, and what a model draws.

Arrays in (numpy, or tensors on the CPU), a figure out. Images are float (C, H, W) or (H, W) in [0, 1]; the first
channel is shown, or all three as colors. Masks are (R, H, W) with any class but 0 as foreground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labutils.core.checks import InputError, require, require_shape
from labutils.core.types import Case
from labutils.viz.outlines import (
    check_raters,
    draw_raters,
    line_handle,
    mark_handles,
    outline,
    rater_handles,
    rater_marks,
    scale_bar,
)
from labutils.viz.style import (
    AGREEMENT_MAP,
    CONSENSUS_COLOR,
    DOUBT_MAP,
    MODEL_COLOR,
    TRUTH_COLOR,
    casing,
    image_axes,
    new_figure,
)

Spacing = tuple[float, ...] | None


def show_image(ax: Axes, image: np.ndarray, spacing_mm: Spacing = None) -> None:
    """Draw an image in true proportions with a scale bar; gray runs from 0 to 1 in every picture.

    Raises:
        InputError: the image is not (H, W) or (C, H, W).
    """
    image = np.asarray(image)
    if image.ndim == 3:
        image = np.moveaxis(image, 0, -1) if image.shape[0] == 3 else image[0]
    elif image.ndim != 2:
        raise InputError(f"image has shape {image.shape}; wanted (C, H, W) or (H, W)")
    aspect = 1.0 if spacing_mm is None else spacing_mm[-2] / spacing_mm[-1]
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
    image_axes(ax)
    scale_bar(ax, spacing_mm, image.shape[1])


def raters_on_image(
    image: np.ndarray,
    masks: np.ndarray,
    present: np.ndarray | None = None,
    *,
    spacing_mm: Spacing = None,
    names: list[str] | None = None,
    truth: np.ndarray | None = None,
    consensus: np.ndarray | None = None,
    model: np.ndarray | None = None,
    with_plain: bool = False,
) -> Figure:
    """Every rater's outline on one image, in the colors the raters keep through the book.

    Args:
        image: float (C, H, W) or (H, W) in [0, 1].
        masks: (R, H, W), not zero is foreground.
        present: bool (R,), or None for everybody. An absent rater and one that saw nothing have different entries
            in the legend, and neither has an outline.
        spacing_mm: (row, column) for the scale bar; None gives pixels.
        names: R names for the legend; None gives rater 1, rater 2, ...
        truth: (H, W) in black, or None.
        consensus: (H, W) in white, or None.
        model: (H, W) in yellow, or None.
        with_plain: show the bare image beside it, for a look with nobody's opinion on it.
    """
    masks, present = check_raters(masks, present)
    handles = rater_handles(masks, present, names)
    extra = (truth, TRUTH_COLOR, "truth"), (consensus, CONSENSUS_COLOR, "consensus"), (model, MODEL_COLOR, "model")
    handles += [line_handle(color, label) for mask, color, label in extra if mask is not None]
    entries = 4 if with_plain else 2  # a legend row holds
    side = 3.4 if with_plain else 4.2  # inches
    figure, axes = new_figure(1, 1 + with_plain, panel=(side, side + 0.1 + 0.2 * -(-len(handles) // entries)))
    for ax in axes.flat:
        show_image(ax, image, spacing_mm)
    draw_raters(axes[0, -1], masks, present)
    for mask, color, _ in extra:
        if mask is not None:
            outline(axes[0, -1], mask, color, width=1.8)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), entries))
    return figure


def case_strip(cases: Sequence[Case], *, columns: int = 4, labels: Sequence[str] | None = None) -> Figure:
    """A grid of 2D cases with all raters, a mark under each picture for each rater.

    Args:
        cases: 2D cases; their images, masks, `present` and spacing are shown.
        columns: pictures a row.
        labels: a few words in the corner of each picture, or None.
    Raises:
        InputError: there is no case, or as many labels are not given.
    """
    require(len(cases) > 0, "cases is empty; wanted at least one case")
    require(labels is None or len(labels) == len(cases), f"wanted {len(cases)} labels, one a case")
    figure, axes = _grid(len(cases), columns)
    for place, (ax, case) in enumerate(zip(axes, cases, strict=True)):
        show_image(ax, case.image, case.spacing_mm)
        draw_raters(ax, case.masks, case.present, width=1.2)
        rater_marks(ax, case.masks, case.present)
        if labels is not None:
            corner_label(ax, labels[place])
    figure.legend(handles=mark_handles(), loc="outside lower center", ncols=3)
    return figure


def maps_on_image(
    image: np.ndarray, maps: Mapping[str, np.ndarray], label: str, *, spacing_mm: Spacing = None
) -> Figure:
    """Named maps of values in [0, 1] side by side over one image, under one color bar; zero stays bare.

    Args:
        image: float (C, H, W) or (H, W) in [0, 1].
        maps: by name, (H, W) masks, vote fractions or probabilities.
        label: what the values are.
        spacing_mm: (row, column) for the scale bar; None gives pixels.
    Raises:
        InputError: there is no map, or one is not (H, W).
    """
    require(len(maps) > 0, "maps is empty; wanted at least one")
    figure, axes = new_figure(1, len(maps), panel=(2.3, 2.2))
    for ax, (name, values) in zip(axes.flat, maps.items(), strict=True):
        values = np.asarray(values, dtype=float)
        require_shape(name, values, "HW")
        show_image(ax, image, spacing_mm)
        shown = ax.imshow(np.ma.masked_equal(values, 0), cmap=AGREEMENT_MAP, vmin=0, vmax=1, alpha=0.85)
        corner_label(ax, name)
    figure.colorbar(shown, ax=list(axes.flat), label=label, shrink=0.85).outline.set_visible(False)
    return figure


def samples_grid(
    image: np.ndarray,
    samples: np.ndarray,
    mean: np.ndarray | None = None,
    spread: np.ndarray | None = None,
    *,
    most: int = 6,
    columns: int = 4,
    spread_label: str = "standard deviation",
    spacing_mm: Spacing = None,
) -> Figure:
    """A model's samples as outlines, then their mean and their spread as maps.

    Args:
        image: float (C, H, W) or (H, W) in [0, 1].
        samples: (S, H, W) masks or probabilities; outlined where above 0.5.
        mean: float (H, W) in [0, 1], or None for the mean over S.
        spread: float (H, W) >= 0, or None for the standard deviation over S.
        most: samples shown; mean and spread are of all.
        columns: pictures a row.
        spread_label: what the second map's bar says; give the unit with your own `spread`.
        spacing_mm: (row, column) for the scale bar; None gives pixels.
    """
    samples = np.asarray(samples, dtype=float)
    require(require_shape("samples", samples, "SHW")["S"] > 0, "samples is empty; wanted S >= 1")
    mean = samples.mean(0) if mean is None else np.asarray(mean)
    spread = samples.std(0) if spread is None else np.asarray(spread)
    shown = samples[:most]
    figure, axes = _grid(len(shown) + 2, columns)
    for place, (ax, sample) in enumerate(zip(axes, shown, strict=False)):
        show_image(ax, image, spacing_mm)
        outline(ax, sample > 0.5, MODEL_COLOR)
        corner_label(ax, f"sample {place + 1}")
    maps = (mean, AGREEMENT_MAP, 1.0, "mean probability"), (spread, DOUBT_MAP, float(spread.max()) or 1.0, spread_label)
    for ax, (values, colors, top, label) in zip(axes[len(shown) :], maps, strict=True):
        picture = ax.imshow(values, cmap=colors, vmin=0, vmax=top)
        image_axes(ax)
        figure.colorbar(picture, ax=ax, label=label, location="bottom", shrink=0.9).outline.set_visible(False)
    return figure


def validation_pictures(
    images: np.ndarray,
    probabilities: np.ndarray,
    masks: np.ndarray,
    present: np.ndarray | None = None,
    *,
    most: int = 10,
) -> Figure:
    """Up to ten validation cases with all raters and the model's outline, for a training log.

    Args:
        images: float (B, C, H, W) in [0, 1].
        probabilities: float (B, H, W), foreground probability; outlined where above 0.5.
        masks: (B, R, H, W), not zero is foreground.
        present: bool (B, R), or None for everybody.
        most: cases shown.
    """
    images, probabilities, masks = np.asarray(images), np.asarray(probabilities), np.asarray(masks)
    sizes = require_shape("images", images, "BCHW")
    require(sizes["B"] > 0, "images is empty; wanted B >= 1")
    require_shape("probabilities", probabilities, "BHW", B=sizes["B"], H=sizes["H"], W=sizes["W"])
    raters = require_shape("masks", masks, "BRHW", B=sizes["B"], H=sizes["H"], W=sizes["W"])["R"]
    present = np.ones((sizes["B"], raters), dtype=bool) if present is None else np.asarray(present)
    require_shape("present", present, "BR", B=sizes["B"], R=raters)
    figure, axes = _grid(min(sizes["B"], most), 5)
    for b, ax in enumerate(axes):
        show_image(ax, images[b])
        draw_raters(ax, masks[b], present[b], width=1.0)
        outline(ax, probabilities[b] > 0.5, MODEL_COLOR, width=1.8)
        rater_marks(ax, masks[b], present[b])
    model = line_handle(MODEL_COLOR, "model")
    figure.legend(handles=[model, *mark_handles()], loc="outside lower center", ncols=4)
    return figure


def corner_label(ax: Axes, text: str) -> None:
    """A few words in the upper left of a picture, readable on any tissue."""
    ax.text(0.03, 0.97, text, transform=ax.transAxes, va="top", fontsize=7.5, color="white", path_effects=casing("", 2))


def _grid(pictures: int, columns: int) -> tuple[Figure, np.ndarray]:
    """A figure with exactly `pictures` axes, filled row by row."""
    columns = min(columns, pictures)
    figure, axes = new_figure(-(-pictures // columns), columns, panel=(1.75, 1.95))
    for ax in axes.flat[pictures:]:
        ax.remove()
    return figure, axes.flat[:pictures]
