"""Fluorescent melanoma cells with seven crowd masks each: dataset 4 of BU-BIL."""

from __future__ import annotations

from labutils.data import bubil
from labutils.data.bubil_crowd import QUIRKS, RATERS, crowd_dataset
from labutils.data.cards import Card

FRACTIONS = {"train": 0.6, "validate": 0.2, "test": 0.2}
SEED = 12  # of the splits; deals 13, 4 and 4 patients, where others leave a split with one

CARD = Card(
    name="bubil-crowd-4",
    title="Melanoma cells with seven crowd masks each (BU-BIL 4)",
    what="Crops of fluorescence images around one melanoma cell, outlined by seven crowd workers.",
    licence=bubil.LICENCE,
    citation=bubil.CITATION,
    homepage=bubil.HOMEPAGE,
    raters=RATERS,
    identified=False,
    classes=2,
    image="(C, H, W) = (1, 128, 160) after padding, gray values divided by 255",
    splits=tuple(FRACTIONS),
    how_to_get=bubil.HOW_TO_GET,
    quirks=(
        *QUIRKS,
        "The images look like frames of a time lapse: one cell comes back up to eleven times. All may be of one field "
        "of view, so intervals over patients are narrower than those over cultures would be.",
        "In image 000154 one worker marked another cell than the others did.",
        "The original has no splits: patients are dealt into these by the hash of their names.",
    ),
    spacing_known=False,
)

DATASET = crowd_dataset(4, CARD, FRACTIONS, SEED)
