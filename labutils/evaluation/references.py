"""The rows that every table needs beside its models: what no network, and what the raters themselves, would score."""

from __future__ import annotations

from typing import Literal, NamedTuple

from labutils.data.store import Store
from labutils.evaluation import draws


class Reference(NamedTuple):
    """A row without a network."""

    name: str
    kind: Literal["reference", "oracle"]  # an oracle looks at the raters' masks
    draw: draws.Draw


def references(train: Store) -> list[Reference]:
    """The references of a table, for models that learned from `train`; Otsu's threshold for two classes only."""
    classes = train.card.classes
    otsu = [Reference("Otsu", "reference", draws.otsu())] if classes == 2 else []
    return [
        Reference("blank", "reference", draws.blank(classes)),
        Reference("mean training mask", "reference", draws.mean_training_mask(train, classes)),
        *otsu,
        Reference("rater majority", "oracle", draws.rater_majority(classes)),
        Reference("oracle sampler", "oracle", draws.oracle_sampler(classes)),
    ]
