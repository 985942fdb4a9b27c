"""Two latent numbers as a plane: where masks are recognized, and where a prior draws.

Arrays in (numpy, or tensors on the CPU), a figure out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from labutils.core.checks import require, require_shape
from labutils.viz.style import FAINT, GRID, new_figure, rater_style

MARKERS = "os^Dv"  # kinds are told apart without color, too


def latent_plane(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]], kinds: np.ndarray, names: Sequence[str]
) -> Figure:
    """Posterior means by the kind of their mask, over draws from the prior: a panel for each model.

    Args:
        panels: by name, posterior means float (N, 2) and draws from the prior float (M, 2).
        kinds: int (N,), the kind of each mask, 0 to K - 1; the masks are the same in all panels.
        names: of the K kinds.
    Raises:
        InputError: there is no panel, one has other sizes, or a kind has no name.
    """
    require(len(panels) > 0, "panels is empty; wanted at least one")
    kinds = np.asarray(kinds)
    count = require_shape("kinds", kinds, "N")["N"]
    named = count > 0 and kinds.min() >= 0 and kinds.max() < len(names)
    require(named, f"kinds are not all among 0 to {len(names) - 1}; wanted a name for each")
    figure, axes = new_figure(1, len(panels), panel=(3.4, 3.3))
    for ax, (title, (means, drawn)) in zip(axes.flat, panels.items(), strict=True):
        means, drawn = np.asarray(means), np.asarray(drawn)
        for what, points in ((f"{title}: means", means), (f"{title}: draws", drawn)):
            sizes = require_shape(what, points, "NZ", Z=2)
            require(what.endswith("draws") or sizes["N"] == count, f"{what} are {sizes['N']}; wanted {count}")
        ax.plot(*drawn.T, ".", color=FAINT, ms=3, alpha=0.6, label="drawn from the prior")
        for kind, name in enumerate(names):
            here, color = kinds == kind, rater_style(kind).color
            ax.plot(*means[here].T, MARKERS[kind % 5], color=color, ms=4.5, alpha=0.8, label=name)
        ax.set(xlabel=f"z 1\n{title}", ylabel="z 2")
        ax.grid(color=GRID)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    columns = len(labels) if len(panels) > 1 else 2  # what fits above one panel
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)
    return figure
