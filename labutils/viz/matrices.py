"""Confusion matrices as pictures: small heat maps with their numbers, and maps of what raters say at each pixel.

Both figures have a row for each source, such as planted and found, and a column for each rater, so that what is to be
compared stands one above the other. Arrays in (numpy, or tensors on the CPU), a figure out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from labutils.core.checks import InputError, require, require_shape
from labutils.viz.outlines import outline
from labutils.viz.style import AGREEMENT_MAP, FAINT, INK, TRUTH_COLOR, image_axes, new_figure

SHADES = "Blues"  # of an entry: white to dark, so that its number can be read on it
DARK = 0.55  # entries above it carry a white number


def confusion_matrices(matrices: Mapping[str, np.ndarray], names: Sequence[str]) -> Figure:
    """Confusion matrices as small heat maps with their entries: a row for each source, a column for each rater.

    Args:
        matrices: by source, float (R, K, K) in [0, 1]; entry [i, j] is p(rater says i | truth is j), columns sum to 1.
        names: of the R raters.
    Raises:
        InputError: there is no source, or one does not have R square matrices of chances.
    """
    require(len(matrices) > 0, "matrices is empty; wanted at least one source")
    figure, axes = new_figure(len(matrices), len(names), panel=(1.45, 1.55))
    for row, (source, stack) in enumerate(matrices.items()):
        stack = np.asarray(stack)
        sizes = require_shape(source, stack, "RKJ", R=len(names))
        require(sizes["K"] == sizes["J"], f"{source} has shape {stack.shape}; wanted axes (R, K, K)")
        _require_chances(source, stack)
        for ax, matrix in zip(axes[row], stack, strict=True):
            _draw_matrix(ax, matrix)
        axes[row, 0].set_ylabel(f"{source}\nrater says")
    for ax, name in zip(axes[-1], names, strict=True):
        ax.set_xlabel(f"truth\n{name}")
    return figure


def rater_maps(
    maps: Mapping[str, np.ndarray], names: Sequence[str], label: str, *, truth: np.ndarray | None = None
) -> Figure:
    """Maps of values in [0, 1] under one color bar: a row for each source, a column for each rater.

    Args:
        maps: by source, float (R, H, W) in [0, 1], such as p(rater says foreground | truth) at each pixel.
        names: of the R raters.
        label: what the values are.
        truth: (H, W), outlined on every map, or None.
    Raises:
        InputError: there is no source, one does not have R maps, or a value is outside [0, 1].
    """
    require(len(maps) > 0, "maps is empty; wanted at least one source")
    height = 1.5 + 0.75 / len(maps)  # the bar takes its room from all rows
    figure, axes = new_figure(len(maps), len(names), panel=(1.5, height))
    for row, (source, stack) in enumerate(maps.items()):
        stack = np.asarray(stack)
        require_shape(source, stack, "RHW", R=len(names))
        _require_chances(source, stack)
        for ax, values in zip(axes[row], stack, strict=True):
            shown = ax.imshow(values, cmap=AGREEMENT_MAP, vmin=0, vmax=1, interpolation="nearest")
            image_axes(ax)
            if truth is not None:
                outline(ax, truth, TRUTH_COLOR, width=1.2)
        axes[row, 0].set_ylabel(source)
    for ax, name in zip(axes[-1], names, strict=True):
        ax.set_xlabel(name)
    bar = figure.colorbar(shown, ax=axes, label=label, location="bottom", shrink=0.6, aspect=30)
    bar.outline.set_visible(False)
    return figure


def _draw_matrix(ax: Axes, matrix: np.ndarray) -> None:
    classes = range(len(matrix))
    ax.imshow(matrix, cmap=SHADES, norm=Normalize(0, 1), interpolation="nearest")
    size = 8 if len(matrix) < 4 else 6
    for i in classes:
        for j in classes:
            color = "white" if matrix[i, j] > DARK else INK
            ax.text(j, i, f"{matrix[i, j]:.2f}", ha="center", va="center", fontsize=size, color=color)
    ax.set_xticks(classes)
    ax.set_yticks(classes)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set(visible=True, color=FAINT)


def _require_chances(source: str, values: np.ndarray) -> None:
    if not (values.size and values.min() >= 0 and values.max() <= 1):  # NaN is refused, too
        raise InputError(f"{source} holds values outside [0, 1]; wanted chances")
