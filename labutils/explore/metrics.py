"""The explorer of metrics: move the discs of two raters and two samples, and see which numbers move with them.

Every number is that of `labutils.metrics`, for pairs of a sample and a rater and for the two sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from labutils.core.checks import InputError, require, require_choice
from labutils.explore.core import Explorer, module
from labutils.metrics.disagreement import ged_squared, hungarian_iou, rater_diversity, sample_diversity
from labutils.metrics.overlap import pairwise_dice, pairwise_iou
from labutils.metrics.surface import average_symmetric_surface_distance, hausdorff_percentile
from labutils.viz.disagreement import GROUND, PAIR_LINES, TwoSets, shapes_and_scores
from labutils.viz.outlines import bar_length
from labutils.viz.style import MODEL_COLOR, dashes, rater_style

SIZE_PX = 48  # height and width of the picture
LARGEST_PX = 16  # radius
PIXEL_MM = 0.5
MOVED = ("sample 1", "sample 2", "rater 1", "rater 2")

_HIGHEST = (SIZE_PX - 1, SIZE_PX - 1, LARGEST_PX)  # of x, y and radius
_LEFT, _MIDDLE, _RIGHT = [18, 24, 9], [24, 24, 9], [30, 24, 9]
RATERS = [_LEFT, _RIGHT]
POSITIONS: dict[str, list[list[int]]] = {  # the samples, beside `RATERS`
    "both between": [_MIDDLE, _MIDDLE],
    "both on one rater": [_LEFT, _LEFT],
    "one on each": [_LEFT, _RIGHT],
    "one sample empty": [_LEFT, [30, 24, 0]],
}


class Comparison(NamedTuple):
    """Two samples against two raters; in mm, a distance is NaN where exactly one mask is empty."""

    iou: np.ndarray  # float64 (S, R) = (2, 2)
    dice: np.ndarray  # float64 (S, R)
    hd95_mm: np.ndarray  # float64 (S, R), 95th percentile of surface distance
    assd_mm: np.ndarray  # float64 (S, R), mean surface distance
    terms_v: tuple[float, float, float]  # 2 E d(s, y), E d(s, s'), E d(y, y'), over all pairs
    terms_u: tuple[float, float, float]  # without pairs of a mask with itself
    ged_v: float
    ged_u: float
    mean_iou: float  # over the four pairs
    hungarian_iou: float
    mean_assd_mm: float  # over the pairs that have one; NaN where none has
    undefined_pairs: int  # pairs without a surface distance


def disc(x: int, y: int, radius: int) -> np.ndarray:
    """Pixels nearer to a center than the radius: bool (H, W) = (48, 48), x is the column; radius 0: empty."""
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def metrics_at(value: Mapping[str, Any], pixel_mm: float = PIXEL_MM) -> Comparison:
    """What the explorer shows for some positions.

    Args:
        value: "raters" and "samples", two discs each, as [x, y, radius] in whole pixels; other keys are not looked at.
        pixel_mm: height and width of a pixel.
    Raises:
        InputError: there are not two of each, or a disc is out of range.
    """
    samples, raters = (torch.from_numpy(masks)[None] for masks in _masks(value))
    iou = pairwise_iou(samples, raters)[0]
    cross = 2 * (1 - iou.mean().item())
    pairs = samples[0].repeat_interleave(2, dim=0), raters[0].repeat(2, 1, 1), (pixel_mm, pixel_mm)
    assd = average_symmetric_surface_distance(*pairs).reshape(2, 2).numpy()
    terms = [
        (cross, sample_diversity(samples, form).item(), rater_diversity(raters, None, form).item()) for form in "VU"
    ]
    defined = assd[~np.isnan(assd)]
    return Comparison(
        iou=iou.numpy(),
        dice=pairwise_dice(samples, raters)[0].numpy(),
        hd95_mm=hausdorff_percentile(*pairs).reshape(2, 2).numpy(),
        assd_mm=assd,
        terms_v=terms[0],
        terms_u=terms[1],
        ged_v=ged_squared(samples, raters).item(),
        ged_u=ged_squared(samples, raters, estimator="U").item(),
        mean_iou=iou.mean().item(),
        hungarian_iou=hungarian_iou(samples, raters).item(),
        mean_assd_mm=float(defined.mean()) if defined.size else np.nan,
        undefined_pairs=assd.size - defined.size,
    )


def metrics_figure(values: Sequence[Mapping[str, Any]], pixel_mm: float = PIXEL_MM) -> Figure:
    """The explorer in some positions side by side, with the numbers of the sets below each."""
    panels = []
    for value in values:
        samples, raters = _masks(value)
        found = metrics_at(value, pixel_mm)
        scores = {label: getattr(found, name) for name, label in _NUMBERS.items()}
        panels.append(TwoSets(raters, samples, scores))
    return shapes_and_scores(panels, spacing_mm=(pixel_mm, pixel_mm))


class MetricsExplorer(Explorer):
    """Two raters' discs and two samples' to drag, with the overlap and surface distance of each pair, and GED².

    ``value``: ``raters`` and ``samples`` (two [x, y, radius] each, in pixels; radius 0 is an empty mask) and ``moved``,
    the disc that the sliders move (one of `MOVED`).
    """

    name = "metrics"
    _esm = module("metrics")

    def __init__(
        self,
        *,
        samples: Sequence[Sequence[int]] = ((20, 24, 9), (26, 24, 7)),
        raters: Sequence[Sequence[int]] = RATERS,
        moved: str = "sample 2",
        pixel_mm: float = PIXEL_MM,
    ) -> None:
        """Start from some discs.

        Args:
            samples: two of [x, y, radius] in pixels, x and y 0 to 47, radius 0 to 16.
            raters: as `samples`.
            moved: one of `MOVED`.
            pixel_mm: height and width of a pixel.
        Raises:
            InputError: there are not two of each, a disc is out of range, or there is no such disc to move.
        """
        require(pixel_mm > 0, f"pixel_mm is {pixel_mm}; wanted more than 0")
        value = {"raters": [list(one) for one in raters], "samples": [list(one) for one in samples], "moved": moved}
        super().__init__(_data(pixel_mm), value)

    def check(self, value: Mapping[str, Any]) -> None:
        _masks(value)
        require_choice("moved", value["moved"], MOVED, InputError)


_NUMBERS = {
    "ged_v": "GED², V",
    "ged_u": "GED², U",
    "mean_iou": "mean IoU",
    "hungarian_iou": "Hungarian IoU",
    "mean_assd_mm": "surface distance, mm",
}


def _data(pixel_mm: float) -> dict[str, Any]:
    corners = ([-1, 1], [1, 1], [-1, -1], [1, -1])  # where the name of each disc stands, for centers on one place
    shapes = []
    for name, corner in zip(MOVED, corners, strict=True):
        kind, place = name.split()[0], int(name.split()[1]) - 1
        look = {"color": MODEL_COLOR, "dash": dashes(("-", "--")[place]), "width": 1.6}
        if kind == "rater":  # wider, so that a sample on the same line leaves it visible
            look = {"color": rater_style(place).color, "dash": [], "width": 4.2 - 0.8 * place}
        short = f"{'y' if kind == 'rater' else 's'}{place + 1}"
        shapes.append({"name": name, "short": short, "set": f"{kind}s", "place": place, "corner": corner, **look})
    words = {"cross": "2 E d(s, y)", "within samples": "E d(s, s′)", "within raters": "E d(y, y′)"}
    return {
        "title": "Metrics: two raters, two samples, and the numbers between them",
        "size": SIZE_PX,
        "pixelMm": pixel_mm,
        "bar": bar_length((pixel_mm, pixel_mm), SIZE_PX)._asdict(),
        "shapes": [*shapes[2:], *shapes[:2]],  # in the order of drawing
        "presets": [{"name": name, "raters": RATERS, "samples": samples} for name, samples in POSITIONS.items()],
        "sliders": [
            {"name": name, "label": label, "max": top}
            for name, label, top in zip(("x", "y", "radius"), ("x", "y, down", "radius"), _HIGHEST, strict=True)
        ],
        "numbers": [{"name": name, "label": f"{label}:"} for name, label in _NUMBERS.items()],
        "measures": [
            {"name": "iou", "words": "IoU", "digits": 3},
            {"name": "dice", "words": "Dice", "digits": 3},
            {"name": "hd95_mm", "words": "HD95, mm", "digits": 2},
            {"name": "assd_mm", "words": "mean, mm", "digits": 2},
        ],
        "tableCaption": "Overlap and surface distance (95th percentile and mean) of each sample with each rater; "
        "a distance is undefined where exactly one mask is empty.",
        "barsCaption": "GED² is what is left of its cross term: V counts a mask's distance to itself, U does not.",
        "ground": f"rgb({round(255 * GROUND)} {round(255 * GROUND)} {round(255 * GROUND)})",
        "terms": [{"words": text, "color": PAIR_LINES[kind][0]} for kind, text in words.items()],
    }


def _masks(value: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The discs of the samples and of the raters, bool (2, H, W) each."""
    found = []
    for kind in ("samples", "raters"):
        discs = value.get(kind, [])
        good = len(discs) == 2 and all(map(_is_disc, discs))
        require(good, f"{kind} are {discs}; wanted two of [x, y, radius], whole, 0 to {_HIGHEST}")
        found.append(np.stack([disc(*one) for one in discs]))
    return found[0], found[1]


def _is_disc(given: Sequence[int]) -> bool:
    return len(given) == 3 and all(px in range(top + 1) for px, top in zip(given, _HIGHEST, strict=True))
