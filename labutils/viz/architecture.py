"""A drawing of a network: a box a stage, arrows where results go, dashed arrows where they skip stages.

What is drawn is a plain `Architecture`; every number on paper is one of its numbers.
"""

from __future__ import annotations

from math import log2, prod
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from labutils.core.checks import require
from labutils.core.types import Architecture, Flow, Stage
from labutils.viz.style import BOOK_STYLE, FAINT, INK, PAPER, VectorFigure

BLOCK = ("#7fb2d6", "#b5d3e8", "#4d8fbf")  # front, top and side of a stage's block
PLAIN = ("#d3d1c9", "#e8e6df", "#b9b6ac")  # of the image and of what the network gives
AXIS_NAMES = ("channels", "planes", "rows", "columns")
BOX_IN, GAP_IN = 0.62, 0.3  # height of a box, and paper between it and the next
LANE_GAP_IN, MARGIN_IN = 0.62, 0.12
SLOT_IN = 0.56  # the left of a box, where its block stands
NAME_PT, TEXT_PT = 9, 8.5
LEGEND_IN, LEAST_IN = 0.66, 2.2  # height of the legend, width of any drawing


class Place(NamedTuple):
    """Where a stage stands; rows count downward and may be negative."""

    row: int
    lane: int


def architecture(shown: Architecture, name: str) -> Figure:
    """A network as boxes that go down while its results get coarser, and up beside them while they get finer.

    Args:
        shown: the network's stages and flows; a block is as high as its result has rows and as deep as it has
            channels, both on a logarithmic scale.
        name: of the network, for those who hear the drawing.
    Raises:
        InputError: there is no stage.
    """
    require(len(shown.stages) > 0, "the architecture has no stage; wanted at least one")
    places = arrange(shown)
    rows, lanes = ([place[axis] for place in places.values()] for axis in (0, 1))
    longest = max(
        _width_in(text, NAME_PT if place == 0 else TEXT_PT, bold=place == 0)
        for stage in shown.stages
        for place, text in enumerate(_lines(stage))
    )
    paper = _Paper(SLOT_IN + longest + 0.14, min(rows))
    width = max(LEAST_IN, 2 * MARGIN_IN + (max(lanes) + 1) * (paper.box_in + LANE_GAP_IN) - LANE_GAP_IN)
    height = 2 * MARGIN_IN + (max(rows) - min(rows) + 1) * (BOX_IN + GAP_IN) - GAP_IN + LEGEND_IN
    with matplotlib.rc_context(BOOK_STYLE):
        figure = VectorFigure(figsize=(width, height))
        ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
        most = [max(size) for size in zip(*(_sizes(stage) for stage in shown.stages), strict=True)]
        for stage in shown.stages:
            _box(ax, paper, places[stage.name], stage, most)
        stages = {stage.name: stage for stage in shown.stages}
        for flow in shown.flows:
            _arrow(ax, paper, places, stages, flow)
        _legend(ax, shown, height)
    skips = sum(flow.skip for flow in shown.flows)
    parts = sum(stage.role == "stage" for stage in shown.stages)
    figure.name = f"{name}: {parts} stages, {skips} skips, {shown.parameters:,} parameters"
    return figure


def arrange(shown: Architecture) -> dict[str, Place]:
    """A place for every stage, one each: along a lane while the flow keeps its direction, a new lane where it turns.

    The direction is down until results get finer and up until they get coarser, so an encoder and its decoder stand
    side by side, level by level. A branch begins a new lane too.
    """
    stages = {stage.name: stage for stage in shown.stages}
    feeders = {flow.target: flow.source for flow in shown.flows if not flow.skip}  # the one that ran last
    places: dict[str, Place] = {}
    directions: dict[int, int] = {}  # of a lane: 1 is down, -1 is up
    for stage in shown.stages:
        row, lane, direction = 0, 0, 1
        if feeder := feeders.get(stage.name):
            before = places[feeder]
            turns = _finer(stages[feeder], stage) == directions[before.lane]
            direction = -directions[before.lane] if turns else directions[before.lane]
            row, lane = before.row + direction, before.lane + turns
        while Place(row, lane) in places.values() or directions.get(lane, direction) != direction:
            lane += 1
        directions[lane] = direction
        places[stage.name] = Place(row, lane)
    return places


class _Paper(NamedTuple):
    """Where places lie, in inches from the upper left."""

    box_in: float  # width of a box
    top: int  # row of the uppermost boxes

    def corner(self, place: Place) -> tuple[float, float]:
        x = MARGIN_IN + place.lane * (self.box_in + LANE_GAP_IN)
        return x, MARGIN_IN + (place.row - self.top) * (BOX_IN + GAP_IN)


def _finer(source: Stage, target: Stage) -> int:
    """1 where the target has more pixels than the source, -1 where fewer; the image and outputs change no resolution.

    An image is padded on its way in and a result cropped on its way out: that is no turn.
    """
    if source.role != "stage" or target.role != "stage":
        return 0
    before, after = prod(source.shape[1:]), prod(target.shape[1:])
    return (after > before) - (after < before)


def _sizes(stage: Stage) -> tuple[int, int]:
    """Channels, and rows or columns, the larger of the two."""
    return stage.shape[0], max(stage.shape[1:], default=1)


def _lines(stage: Stage) -> list[str]:
    """What is written in a box: its name, the shape of its result and, of a stage, its parameters."""
    lines = [stage.name, " × ".join(f"{size:,}" for size in stage.shape)]
    return (
        [*lines, f"{stage.parameters:,} parameter{'s' * (stage.parameters != 1)}"] if stage.role == "stage" else lines
    )


def _width_in(text: str, points: float, *, bold: bool = False) -> float:
    font = FontProperties(family=BOOK_STYLE["font.family"], weight="bold" if bold else "normal")
    return TextPath((0, 0), text, size=points, prop=font).get_extents().width / 72


def _box(ax: Axes, paper: _Paper, place: Place, stage: Stage, most: list[int]) -> None:
    x, y = paper.corner(place)
    pad = 0.05  # the rounding adds it on every side
    shape = FancyBboxPatch(
        (x + pad, y + pad), paper.box_in - 2 * pad, BOX_IN - 2 * pad, boxstyle=f"round,pad={pad}", facecolor="white"
    )
    shape.set(edgecolor=FAINT, linewidth=0.8)
    ax.add_patch(shape)
    _block(ax, x + SLOT_IN / 2, y + BOX_IN / 2, stage, most)
    first, *rest = _lines(stage)
    line_in = 0.17
    top = y + BOX_IN / 2 - line_in * len(rest) / 2
    ax.text(x + SLOT_IN, top, first, va="center", fontsize=NAME_PT, fontweight="bold")
    for below, text in enumerate(rest, 1):
        color = INK if below == 1 else FAINT
        ax.text(x + SLOT_IN, top + below * line_in, text, va="center", fontsize=TEXT_PT, color=color)


def _block(ax: Axes, x: float, y: float, stage: Stage, most: list[int]) -> None:
    """A block around (x, y): its front grows with rows, its depth with channels."""
    deep, high = ((1 + log2(size)) / (1 + log2(top)) for size, top in zip(_sizes(stage), most, strict=True))
    side, depth = 0.30 * high, 0.15 * deep
    left, top = x - (side + depth) / 2, y - (side + depth) / 2 + depth
    right, bottom = left + side, top + side
    faces = (
        [(left, top), (right, top), (right, bottom), (left, bottom)],
        [(left, top), (left + depth, top - depth), (right + depth, top - depth), (right, top)],
        [(right, top), (right + depth, top - depth), (right + depth, bottom - depth), (right, bottom)],
    )
    for corners, color in zip(faces, BLOCK if stage.role == "stage" else PLAIN, strict=True):
        ax.add_patch(Polygon(corners, facecolor=color, edgecolor=PAPER, linewidth=0.5))


def _arrow(ax: Axes, paper: _Paper, places: dict[str, Place], stages: dict[str, Stage], flow: Flow) -> None:
    """From a box to the next in its lane, around the corner into another lane, or past other stages, behind any box."""
    source, target = places[flow.source], places[flow.target]
    (x0, y0), (x1, y1) = paper.corner(source), paper.corner(target)
    half, middle = paper.box_in / 2, BOX_IN / 2
    below = target.row > source.row
    if flow.skip and source.lane == target.lane:  # a bow on the left
        way = [(x0, y0 + middle), (x0 - 0.1, y0 + middle), (x1 - 0.1, y1 + middle), (x1, y1 + middle)]
    elif flow.skip:
        right = target.lane > source.lane
        way = [(x0 + paper.box_in * right, y0 + middle), (x1 + paper.box_in * (not right), y1 + middle)]
    elif source.lane == target.lane:
        way = [(x0 + half, y0 + BOX_IN * below), (x1 + half, y1 + BOX_IN * (not below))]
    else:
        start = x0 + paper.box_in * (target.lane > source.lane)
        way = [(start, y0 + middle), (x1 + half, y0 + middle), (x1 + half, y1 + BOX_IN * (not below))]
    _draw_way(ax, way, flow.skip)
    if not flow.skip and _finer(stages[flow.source], stages[flow.target]):
        before, after = (max(stages[name].shape[1:], default=1) for name in flow[:2])
        text = f"× {after / before:g}" if after > before else f"÷ {before / after:g}"
        ax.text(way[-1][0] + 0.07, (way[-2][1] + way[-1][1]) / 2, text, va="center", fontsize=TEXT_PT, color=FAINT)


def _draw_way(ax: Axes, way: list[tuple[float, float]], skip: bool) -> None:
    line = "--" if skip else "-"
    arrow = FancyArrowPatch(path=Path(way), arrowstyle="-|>,head_width=2.6,head_length=4.5", shrinkA=0, shrinkB=0)
    arrow.set(color=FAINT if skip else INK, linewidth=1.1, linestyle=line, joinstyle="round", zorder=0.5)
    ax.add_patch(arrow)


def _legend(ax: Axes, shown: Architecture, height: float) -> None:
    """What the lines and the numbers mean, and how many parameters there are in all."""
    axes = max(len(stage.shape) for stage in shown.stages)
    names = AXIS_NAMES[:1] + AXIS_NAMES[1:][-(axes - 1) :] if axes > 1 else AXIS_NAMES[:1]
    bottom = height - MARGIN_IN - 0.08
    x = MARGIN_IN
    for skip, text in ((False, "feeds"), (True, "skips stages")):
        if skip <= any(flow.skip for flow in shown.flows):
            _draw_way(ax, [(x, bottom - 0.4), (x + 0.36, bottom - 0.4)], skip)
            ax.text(x + 0.44, bottom - 0.4, text, va="center", fontsize=TEXT_PT)
            x += 0.62 + _width_in(text, TEXT_PT)
    ax.text(MARGIN_IN, bottom - 0.2, " × ".join(names), va="center", fontsize=TEXT_PT)
    ax.text(MARGIN_IN, bottom, f"{shown.parameters:,} parameters in all", va="center", fontsize=TEXT_PT)
