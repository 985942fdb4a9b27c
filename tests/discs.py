"""Small stores to train on: bright discs on noise, raters who differ in radius."""

import numpy as np

from labutils.core.runtime import numpy_rng_for
from labutils.core.types import Case
from labutils.data.cards import Card
from labutils.data.store import Store

CARD = Card(
    name="discs",
    title="Discs",
    what="Bright discs on noise.",
    licence="MIT",
    citation="",
    homepage="",
    raters="three, who differ in radius",
    identified=True,
    classes=2,
    image="(C, H, W) = (1, 16, 16)",
    splits=("train", "validate"),
    how_to_get="made in memory",
)


def disc_store(cases=12, size=16, raters=3, seed=0, split="train"):
    """Discs of radius 3 to 6; rater r draws the disc with a radius r - 1 larger."""
    rng = numpy_rng_for(seed, "discs", split)
    rows, columns = np.mgrid[:size, :size]
    made = []
    for number in range(cases):
        row, column = rng.uniform(5, size - 5, 2)
        radius = rng.uniform(3, 6)
        distance = np.hypot(rows - row, columns - column)
        image = np.clip(0.6 * (distance < radius) + 0.4 * rng.random((size, size)), 0, 1).astype(np.float32)
        masks = np.stack([distance < radius + r - 1 for r in range(raters)]).astype(np.uint8)
        made.append(
            Case(
                image=image[None],
                masks=masks,
                present=np.ones(raters, bool),
                truth=(distance < radius).astype(np.uint8),
                patient=f"p{number // 2}",
                case=f"{split}-{number}",
            )
        )
    return Store.from_cases(made, card=CARD, split=split)
