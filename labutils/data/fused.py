"""A store whose raters were fused into one before anything is learned: what two-step methods train on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labutils.consensus.dawid_skene import dawid_skene
from labutils.consensus.majority import majority
from labutils.consensus.multilabel import multilabel_staple
from labutils.consensus.staple import staple
from labutils.core.checks import require, require_choice
from labutils.core.types import Batch
from labutils.data.cards import require_identified
from labutils.data.store import Store

POOLED = ("staple-pooled", "dawid-skene")  # one skill per rater from all cases together
WAYS = ("majority", "consensus", "staple", *POOLED)
_CASES = 500  # at a time, where each case is fused on its own


def fused_masks(store: Store, by: str) -> np.ndarray:
    """One mask per case, uint8 (N, H, W), from the raters alone.

    Args:
        store: cases with masks.
        by: "majority" (``2v > R``) and "consensus" (``2v >= R``, two classes; the lowest label among the most voted
            for more), "staple" of each case, "staple-pooled" with one skill per rater, or "dawid-skene", pooled and
            with the classes' shares learned. A tied posterior is foreground for two classes,
            background for more.
    Raises:
        ConfigError: an unknown way.
        InputError: no masks, or pooling raters who are exchangeable.
    """
    require_choice("fusing by", by, WAYS)
    require(store.labeled, f"{store.card.name}/{store.split} has no masks to fuse")
    if by in POOLED:
        require_identified(store.card, f"fusing by {by}")
        return _fused(store.batch(range(len(store))), store.card.classes, by)
    places = [range(i, min(i + _CASES, len(store))) for i in range(0, len(store), _CASES)]
    return np.concatenate([_fused(store.batch(place), store.card.classes, by) for place in places])


def fused(store: Store, by: str) -> Store:
    """The same cases with one rater: the mask of `fused_masks`; the truth is kept for scoring."""
    masks = fused_masks(store, by)[:, None]
    card = replace(store.card, raters=f"1: {by} of {store.card.raters}", identified=True)
    return replace(store, masks=masks, present=np.ones(masks.shape[:2], bool), card=card)


def _fused(batch: Batch, classes: int, by: str) -> np.ndarray:
    masks, present = batch.masks, batch.present
    if by in ("majority", "consensus"):
        rule = "strict" if by == "majority" else "half" if classes == 2 else "lowest"
        return majority(masks, present, classes, rule).numpy()
    if by == "dawid-skene":
        return dawid_skene(masks, present, classes, pooled=True).probability.argmax(dim=1).byte().numpy()
    pooled = by == "staple-pooled"
    if classes == 2:
        return (staple(masks == 1, present, pooled=pooled).probability >= 0.5).byte().numpy()
    return multilabel_staple(masks, present, classes, undecided=0, pooled=pooled).labels.byte().numpy()
