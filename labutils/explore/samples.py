"""The explorer of samples: what a sampler draws for a case, and what its latent levels do to it.

A sampler is packed as a grid: for each case, and each position of each of its levels, a few samples. A model with one
latent has one level, a hierarchical one several, an ensemble none. What a position stands for is said by its label: a
value at which the level is held, or that it is drawn anew for each sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from labutils.core.checks import require, require_unit_range
from labutils.core.types import Case
from labutils.explore.core import Explorer, module, pack, pack_cases, require_index
from labutils.metrics.disagreement import ged_squared, rater_diversity, sample_diversity
from labutils.metrics.overlap import pairwise_dice
from labutils.viz.sampling import MOST_SPREAD, Drawn, drawn_rows, map_colors
from labutils.viz.style import AGREEMENT_MAP, DOUBT_MAP, MODEL_COLOR

MOST_SAMPLES = 8  # pictures of a grid


class Level(NamedTuple):
    """One latent level, and the positions that it can be moved to."""

    name: str
    labels: tuple[str, ...]  # one a position


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleGrid:
    """What one sampler draws for some cases, at every position of its levels.

    Probabilities are rounded to 255ths, here as on the page, so that both compute from the same numbers.
    """

    name: str
    probs: np.ndarray  # float in [0, 1] or bool (B, positions of each level ..., S, H, W), of the foreground
    levels: tuple[Level, ...] = ()
    samples: tuple[str, ...] = ()  # names of the S samples; () numbers them

    def __post_init__(self) -> None:
        shape, levels = self.probs.shape, len(self.levels)
        wanted = f"axes (B, {levels} of levels, S, H, W)" if levels else "axes (B, S, H, W)"
        require(len(shape) == 4 + levels, f"sampler {self.name!r}: probs have shape {shape}; wanted {wanted}")
        for level, positions in zip(self.levels, shape[1:], strict=False):
            labels = len(level.labels)
            require(
                labels == positions > 0,
                f"sampler {self.name!r}: level {level.name!r} has {labels} labels; wanted one for each of its"
                f" {positions} positions",
            )
        count, names = shape[-3], len(self.samples)
        require(1 <= count <= MOST_SAMPLES, f"sampler {self.name!r} has {count} samples; wanted 1 to {MOST_SAMPLES}")
        require(names in (0, count), f"sampler {self.name!r} names {names} samples; wanted {count} names, or none")
        require_unit_range(f"sampler {self.name!r}: probs", self.probs)

    def at(self, case: int, positions: Sequence[int]) -> np.ndarray:
        """The samples of a case at one position of each level: float64 (S, H, W), multiples of 1 / 255."""
        return rounded(self.probs[(case, *positions)]) / 255

    def where(self, positions: Sequence[int]) -> str:
        """The sampler and where its levels stand, in words, one line each."""
        pairs = zip(self.levels, positions, strict=True)
        return "\n".join([self.name, *(f"{level.name} {level.labels[at]}" for level, at in pairs)])


def rounded(probs: np.ndarray) -> np.ndarray:
    """Probabilities in [0, 1] as uint8 in 255ths, ties to even; masks become 0 and 255."""
    return np.rint(255 * np.asarray(probs, dtype=np.float64)).astype(np.uint8)


def samples_at(cases: Sequence[Case], samplers: Sequence[SampleGrid], value: Mapping[str, Any]) -> Drawn:
    """What the explorer shows at a value.

    Args:
        cases: 2D, with any class but 0 as foreground.
        samplers: what each sampler draws for these cases.
        value: as `SamplesExplorer` has it; whether raters are shown changes no number.
    """
    sampler, case = samplers[value["sampler"]], cases[value["case"]]
    positions = value["positions"][value["sampler"]]
    samples = sampler.at(value["case"], positions)
    drawn, masks = torch.from_numpy(samples > 0.5)[None], torch.from_numpy(case.masks != 0)[None]
    present = torch.from_numpy(case.present)[None]
    dice = pairwise_dice(drawn[:, [value["sample"]]], masks)[0, 0].tolist()
    return Drawn(
        label=sampler.where(positions),
        case=case,
        samples=samples,
        chosen=value["sample"],
        ged2_v=ged_squared(drawn, masks, present).item(),
        diversity=sample_diversity(drawn).item(),
        rater_diversity=rater_diversity(masks, present).item(),
        dice=tuple(one if here else math.nan for one, here in zip(dice, case.present, strict=True)),
    )


def samples_figure(cases: Sequence[Case], samplers: Sequence[SampleGrid], values: Sequence[Mapping]) -> Figure:
    """The explorer in some positions, one row each, from the values that it would have."""
    return drawn_rows([samples_at(cases, samplers, value) for value in values])


class SamplesExplorer(Explorer):
    """Samples of one or more samplers to look through: a grid, one enlarged beside the raters, mean and spread.

    ``value``: ``case`` (0 to B - 1), ``sampler``, ``positions`` (for each sampler one index for each of its levels),
    ``sample`` (0 to S - 1, the enlarged one) and ``raters`` (whether their outlines are shown).
    """

    name = "samples"
    _esm = module("samples")

    def __init__(self, cases: Sequence[Case], samplers: Sequence[SampleGrid], *, case: int = 0) -> None:
        """Pack some cases and what was drawn for them.

        Args:
            cases: 2D, of one size, with one to eight raters; the first channel of an image is shown.
            samplers: one or more, each for these cases in this order; the first is shown first, at the first
                position of its levels.
            case: which is shown first.
        Raises:
            InputError: there is no case or no sampler, a sampler has other cases or pixels, or there is no such case.
        """
        packed = pack_cases(cases)
        require(len(samplers) > 0, "samplers is empty; wanted at least one")
        wanted = (len(cases), packed["height"], packed["width"])
        for one in samplers:
            found = (one.probs.shape[0], *one.probs.shape[-2:])
            require(found == wanted, f"sampler {one.name!r} has {found} cases, rows and columns; wanted {wanted}")
        data = {
            "title": "Samples: grid, mean and spread",
            "samplers": [_packed(one) for one in samplers],
            "palettes": [pack(map_colors(name)) for name in (AGREEMENT_MAP, DOUBT_MAP)],
            "top_spread": MOST_SPREAD,
            "color": MODEL_COLOR,
            **packed,
        }
        positions = [[0] * len(one.levels) for one in samplers]
        super().__init__(data, {"case": case, "sampler": 0, "positions": positions, "sample": 0, "raters": True})

    def check(self, value: Mapping[str, Any]) -> None:
        """Refuse cases, samplers, positions and samples that are not there."""
        samplers = self.data["samplers"]
        require_index("case", value["case"], len(self.data["cases"]))
        require_index("sampler", value["sampler"], len(samplers))
        require_index("sample", value["sample"], len(samplers[value["sampler"]]["samples"]))
        found = [len(one) for one in value["positions"]]
        wanted = [len(one["levels"]) for one in samplers]
        require(found == wanted, f"positions are of {found} levels; wanted {wanted}, a list for each sampler")
        for sampler, positions in zip(samplers, value["positions"], strict=True):
            for level, at in zip(sampler["levels"], positions, strict=True):
                require_index(f"position of {level['name']!r}", at, len(level["labels"]))


def _packed(sampler: SampleGrid) -> dict[str, Any]:
    numbered = [f"sample {s + 1}" for s in range(sampler.probs.shape[-3])]
    return {
        "name": sampler.name,
        "levels": [{"name": level.name, "labels": list(level.labels)} for level in sampler.levels],
        "samples": list(sampler.samples) or numbered,
        "probs": pack(rounded(sampler.probs)),
    }
