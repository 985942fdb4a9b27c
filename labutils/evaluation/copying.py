"""What memory alone can score: a case is answered with the consensus of the image most like it.

Where the slices of one nodule look alike, a split by slice lets a model pass by copying its neighbor; with the own
patient's images out of reach, what is left of the score is owed to likeness between people. The record that chapters
show is written by ``python -m labutils.evaluation.copying --out FILE``, from real images: seconds of one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from labutils.consensus.majority import majority
from labutils.core.checks import require
from labutils.core.files import plain, write_json
from labutils.core.runtime import numpy_rng_for
from labutils.data import catalog
from labutils.data.store import Store
from labutils.evaluation.bootstrap import bootstrap_mean, paired_difference
from labutils.evaluation.passport import describe_store, make_passport
from labutils.metrics.overlap import dice

TITLE = "Dice of a copied consensus: of the most similar image, and of the most similar image of another patient"
DEFINITION = "copied-consensus/1"
RESAMPLES, SEED = 2000, 0
DECIMALS = 6


class Copied(NamedTuple):
    """Dice of each case's consensus with the one that was copied; float64 (N,) in [0, 1], higher is better."""

    any_image: np.ndarray
    other_patient: np.ndarray


def copy_most_similar(store: Store) -> Copied:
    """Answer each case with the consensus (2v >= R) of the image that correlates most with its own.

    Args:
        store: two classes, every case with a rater, two patients or more.
    Returns:
        Two scores a case: any other image may be copied, or only one of another patient. Both masks empty: 1. Of
        images that correlate equally the first counts; a flat image correlates 0 with all.
    Raises:
        InputError: a case has no rater, or all cases are of one patient.
    """
    owners = np.array(store.patients)
    require(bool(store.present.any(axis=1).all()), f"{store.card.name}/{store.split} has cases without a rater")
    require(len(set(store.patients)) > 1, f"{store.card.name}/{store.split} has one patient; wanted two to compare")
    flat = np.asarray(store.image, np.float64).reshape(len(store), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = flat / np.where(norms > 0, norms, 1)
    nearest = np.empty((2, len(store)), int)
    for i, own in enumerate(owners):
        alike = flat @ flat[i]
        for row, barred in enumerate((np.arange(len(store)) == i, owners == own)):
            nearest[row, i] = np.where(barred, -2, alike).argmax()
    masks, present = torch.from_numpy(np.array(store.masks)), torch.from_numpy(np.array(store.present))
    agreed = majority(masks, present, 2, ties="half").bool()
    return Copied(*(dice(agreed, agreed[torch.from_numpy(chosen)]).numpy() for chosen in nearest))


def record(store: Store) -> dict[str, Any]:
    """Means with intervals over patients, and of the difference, as plain values with their passport."""
    copied = copy_most_similar(store)
    rows = {
        name: bootstrap_mean(values, store.patients, numpy_rng_for(SEED, "copied", name), resamples=RESAMPLES)
        for name, values in copied._asdict().items()
    }
    rng = numpy_rng_for(SEED, "copied", "difference")
    rows["difference"] = paired_difference(*copied, store.patients, rng, resamples=RESAMPLES)
    passport = make_passport(
        config={"resamples": RESAMPLES},
        data=[describe_store(store)],
        seed=SEED,
        device=torch.device("cpu"),
        definitions=[DEFINITION],
        weights_sha256=None,
    )
    summary = {name: plain(asdict(interval), DECIMALS) for name, interval in rows.items()}
    return {"title": TITLE, "dice": summary, "passport": passport}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the record of one split from the command line."""
    parser = argparse.ArgumentParser(prog="python -m labutils.evaluation.copying", description="Score what is copied.")
    parser.add_argument("--data", default="lidc-crops", help="name of the dataset (default lidc-crops)")
    parser.add_argument("--split", default="train", help="of it (default train)")
    parser.add_argument("--out", type=Path, required=True, help="the .json to write")
    chosen = parser.parse_args(arguments)
    write_json(chosen.out, record(catalog.load(chosen.data, chosen.split)))


if __name__ == "__main__":
    main()
