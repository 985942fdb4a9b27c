"""A toy with a planted truth: a bright disc on noise, and raters who stop at different distances from its edge.

What each rater does is known exactly, so a claim about learning from raters can be proven here before it is believed
elsewhere. The image shows the true edge and nothing of the raters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labutils.core.checks import ConfigError, require
from labutils.core.runtime import numpy_rng_for
from labutils.core.types import Case
from labutils.data.cards import Card
from labutils.data.store import Store

CARD = Card(
    name="discs",
    title="Discs with planted raters",
    what="A bright disc on noise; each rater draws it with a radius larger or smaller by a fixed number of pixels.",
    licence="MIT (made here)",
    citation="",
    homepage="",
    raters="simulated, the same in every case",
    identified=True,
    classes=2,
    image="(C, H, W) = (1, size, size)",
    splits=("train", "validate", "test"),
    how_to_get="made in memory by labutils.data.discs.make_discs",
    spacing_known=False,
)


@dataclass(frozen=True, kw_only=True)
class DiscsConfig:
    """Settings of the toy."""

    cases: int = 128
    size_px: int = 32
    radius_px: tuple[float, float] = (6.0, 10.0)  # the true radius is uniform between the two
    offsets_px: tuple[float, ...] = (-2.0, -1.0, 1.0, 2.0)  # rater r draws the true radius plus offsets_px[r]
    contrast: float = 0.5  # brightness of the disc above the noise
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.cases >= 1, f"cases is {self.cases}; wanted 1 or more", ConfigError)
        require(self.offsets_px, "offsets_px is empty; wanted one offset a rater", ConfigError)
        low, high = self.radius_px[0] + min(self.offsets_px), self.radius_px[1] + max(self.offsets_px)
        require(low > 0, f"the smallest rater's radius is {low}; wanted more than 0", ConfigError)
        require(2 * high < self.size_px, f"a disc of radius {high} does not fit {self.size_px} px", ConfigError)
        require(0 < self.contrast <= 1, f"contrast is {self.contrast}; wanted a share in (0, 1]", ConfigError)


def make_discs(config: DiscsConfig, split: str = "train") -> Store:
    """Cases of the toy: truth the disc, masks the raters' discs; one patient has two cases.

    Two splits share no case and no random number. Masks are nested, so the vote fraction falls by 1 / R at each
    rater's radius.
    """
    rows, columns = np.mgrid[: config.size_px, : config.size_px]
    made = []
    for number in range(config.cases):
        rng = numpy_rng_for(config.seed, "discs", split, number)
        radius = rng.uniform(*config.radius_px)
        room = config.radius_px[1] + max(config.offsets_px)
        row, column = rng.uniform(room, config.size_px - 1 - room, 2)
        distance = np.hypot(rows - row, columns - column)
        noise = rng.random(distance.shape)
        image = config.contrast * (distance < radius) + (1 - config.contrast) * noise
        made.append(
            Case(
                image=image[None].astype(np.float32),
                masks=np.stack([distance < radius + offset for offset in config.offsets_px]).astype(np.uint8),
                present=np.ones(len(config.offsets_px), bool),
                truth=(distance < radius).astype(np.uint8),
                patient=f"{split}-{number // 2}",
                case=f"{split}-{number}",
            )
        )
    return Store.from_cases(made, card=CARD, split=split)
