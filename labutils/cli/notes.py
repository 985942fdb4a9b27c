"""What a person should know of a dataset before a model learns from it, as sentences: ``note: ...``."""

from __future__ import annotations

from typing import Any

import torch

from labutils.consensus.identifiability import CASES, check_identifiability
from labutils.consensus.odd_raters import odd_sentences
from labutils.data.store import Store
from labutils.models.confusion import ConfusionConfig


def truth_notes(config: Any, store: Store) -> list[str]:
    """Why a network that learns raters' errors may not tell them from the truth; nothing for any other network."""
    if not isinstance(config, ConfusionConfig):
        return []
    if config.raters:
        few = store.batch(range(min(CASES, len(store))))
        found = check_identifiability(few.masks, few.present, store.card.classes)
        return [f"the truth is not identified: {finding.sentence}" for finding in found.findings]
    return ["the model follows no single rater, so its clean head learns a vote: the truth where most are right"]


def rater_notes(store: Store) -> list[str]:
    """Raters whose masks may have been flipped or moved on their way; in 3D as well."""
    return odd_sentences(torch.from_numpy(store.masks), torch.from_numpy(store.present))
