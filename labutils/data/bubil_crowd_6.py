"""Small dark rings, probably vessels, with seven crowd masks each: dataset 6 of BU-BIL."""

from __future__ import annotations

from labutils.data import bubil
from labutils.data.bubil_crowd import QUIRKS, RATERS, crowd_dataset
from labutils.data.cards import Card

CARD = Card(
    name="bubil-crowd-6",
    title="Vessel-like rings with seven crowd masks each (BU-BIL 6)",
    what="Tiny crops around a dark round object, outlined by seven crowd workers; the original does not say of what.",
    licence=bubil.LICENCE,
    citation=bubil.CITATION,
    homepage=bubil.HOMEPAGE,
    raters=RATERS,
    identified=False,
    classes=2,
    image="(C, H, W) = (1, 36, 33) after padding, gray values divided by 255",
    splits=("train",),
    how_to_get=bubil.HOW_TO_GET,
    quirks=(
        *QUIRKS,
        "All images are of two runs of neighbors, which count as two patients; they may be of one animal. There is no "
        "split to test on: training holds one of the two out.",
        "The original does not describe this dataset; names and looks suggest cross-sections of a vessel in MR.",
    ),
    spacing_known=False,
)

DATASET = crowd_dataset(6, CARD, {"train": 1.0})
