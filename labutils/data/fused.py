"""A store whose raters were fused into one before anything is learned: what two-step methods train on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from labutils.consensus.dawid_skene import dawid_skene
from labutils.consensus.majority import majority
from labutils.consensus.multilabel import multilabel_staple
from labutils.consensus.staple import staple
from labutils.core.checks import require, require_choice
from labutils.core.types import Batch
from labutils.data.cards import require_identified
from labutils.data.store import Store

VOTES = {"majority": "strict", "consensus": "highest"}  # the tie rule of each way that counts votes
POOLED = ("staple-pooled", "dawid-skene")  # one skill per rater from all cases together
PRIORS = {  # the share of each class before any rater is heard; the result depends on it
    "staple": "mean vote of the case, fixed",
    "staple-disputed": "mean vote of the case's disputed pixels, fixed",
    "staple-pooled": "mean vote of all cases, fixed",
    "dawid-skene": "learned from all cases, from their mean vote on",
}
WAYS = (*VOTES, *PRIORS)
_CASES = 500  # at a time, where each case is fused on its own


def ways_for(store: Store) -> tuple[str, ...]:
    """The ways of fusing that a store allows, in the order of `WAYS`.

    Pooling needs identified raters, Dawid-Skene two of them for some case, STAPLE of disputed pixels two classes.
    """
    allowed = set(WAYS)
    if not store.card.identified:
        allowed -= set(POOLED)
    if store.present.sum(axis=1).max() < 2:
        allowed -= {"dawid-skene"}
    if store.card.classes > 2:
        allowed -= {"staple-disputed"}
    return tuple(way for way in WAYS if way in allowed)


def fused_masks(store: Store, by: str) -> np.ndarray:
    """One mask per case, uint8 (N, H, W), from the raters alone.

    Args:
        store: cases with masks.
        by: "majority" (``2v > R``); "consensus" (``2v >= R``; with more than two classes, the most votes, ties to the
            highest label); "staple" of each case; "staple-disputed", of the pixels of each case on which raters differ,
            two classes; "staple-pooled" with one skill per rater; or "dawid-skene", pooled, with the classes' shares
            learned. `PRIORS` says which prior each of the last four has. A tied posterior is foreground for two
            classes; for more, background by STAPLE and the lowest label by Dawid-Skene.
    Raises:
        ConfigError: an unknown way.
        InputError: no masks, raters who are exchangeable where they are pooled, one rater for every case by
            Dawid-Skene, or more than two classes by "staple-disputed".
    """
    require_choice("fusing by", by, WAYS)
    require(store.labeled, f"{store.card.name}/{store.split} has no masks to fuse")
    classes = store.card.classes
    require(
        by != "staple-disputed" or classes == 2, f"fusing by {by} takes two classes; {store.card.name} has {classes}"
    )
    if by in POOLED:
        require_identified(store.card, f"fusing by {by}")
        return _fused(store.batch(range(len(store))), classes, by)
    places = [range(i, min(i + _CASES, len(store))) for i in range(0, len(store), _CASES)]
    return np.concatenate([_fused(store.batch(place), classes, by) for place in places])


def fused(store: Store, by: str) -> Store:
    """The same cases with one rater: the mask of `fused_masks`; the truth is kept for scoring."""
    masks = fused_masks(store, by)[:, None]
    card = replace(store.card, raters=f"1: {by} of {store.card.raters}", identified=True)
    return replace(store, masks=masks, present=np.ones(masks.shape[:2], bool), card=card)


def _fused(batch: Batch, classes: int, by: str) -> np.ndarray:
    masks, present = batch.masks, batch.present
    if by in VOTES:
        return majority(masks, present, classes, VOTES[by]).numpy()
    if by == "dawid-skene":
        return _decided(dawid_skene(masks, present, classes, pooled=True).probability)
    pooled = by in POOLED
    if classes > 2:
        return multilabel_staple(masks, present, classes, undecided=0, pooled=pooled).labels.numpy()
    found = staple(masks == 1, present, pooled=pooled, disputed_only=by == "staple-disputed").probability
    return (found >= 0.5).byte().numpy()


def _decided(probability: Tensor) -> np.ndarray:
    """The most probable class; two classes in a tie: foreground; more: the lowest, which torch leaves open."""
    if probability.shape[1] == 2:
        return (probability[:, 1] >= 0.5).byte().numpy()
    return probability.numpy().argmax(axis=1).astype(np.uint8)
