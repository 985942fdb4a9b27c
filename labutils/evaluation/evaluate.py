"""Scores of anything that draws answers, on any store: case by case, with intervals over patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from labutils.consensus.majority import majority_of_others
from labutils.core.checks import InputError, require
from labutils.core.files import plain
from labutils.core.runtime import numpy_rng_for, rng_for
from labutils.data.store import Store
from labutils.evaluation.bootstrap import Interval, bootstrap_mean
from labutils.evaluation.draws import Draw
from labutils.evaluation.scores import METRICS, answers, metrics_for
from labutils.metrics.overlap import dice


class Evaluation(NamedTuple):
    """Scores by case, and their means."""

    rows: list[dict[str, Any]]  # one a case: case, patient, one number per metric (NaN: undefined)
    summary: dict[str, Interval]  # by metric
    samples: int  # S

    def values(self, metric: str) -> np.ndarray:
        """One metric's scores, float64 (cases,), in the store's order."""
        return np.array([row[metric] for row in self.rows], np.float64)

    def patients(self) -> list[str]:
        """Whose case each row is."""
        return [row["patient"] for row in self.rows]


def evaluate(
    draw: Draw,
    store: Store,
    *,
    samples: int,
    seed: int = 0,
    resamples: int = 2000,
    metrics: Sequence[str] | None = None,
    on_case: Callable[[int], None] | None = None,
) -> Evaluation:
    """Draw `samples` answers for each case and score them.

    The chance in a case derives from its id, so that its scores do not depend on which other cases are scored. Cases
    are taken one at a time: memory does not grow with their number.

    Args:
        draw: see `labutils.evaluation.draws`.
        store: cases with raters.
        samples: S, one or more.
        seed: of the draws and of the bootstrap.
        resamples: of the bootstrap.
        metrics: names in `labutils.evaluation.scores.METRICS`; None for all that the cases allow. A score of several
            classes is their mean.
        on_case: called with the number of cases done.
    Raises:
        InputError: the store has no raters, a metric is unknown, or fewer than one sample is asked for.
    """
    return evaluate_parts(
        [draw],
        store,
        [range(len(store))],
        samples=samples,
        seed=seed,
        resamples=resamples,
        metrics=metrics,
        on_case=on_case,
    )


def evaluate_parts(
    draws: Sequence[Draw],
    store: Store,
    parts: Sequence[Sequence[int]],
    *,
    samples: int,
    seed: int = 0,
    resamples: int = 2000,
    metrics: Sequence[str] | None = None,
    on_case: Callable[[int], None] | None = None,
) -> Evaluation:
    """As `evaluate`, where each part of the cases has a draw of its own, as in cross-validation.

    Args:
        draws: one for each part.
        store: all cases.
        parts: rows of the store; each row is in one part.
        samples: as for `evaluate`, as are all further ones.
        seed: of the draws and of the bootstrap.
        resamples: of the bootstrap.
        metrics: names.
        on_case: called with the number of cases done.
    Raises:
        InputError: a case is in no part or in two, or as `evaluate`.
    """
    require(store.labeled, f"{store.card.name}/{store.split} has no masks to score against", InputError)
    require(samples >= 1, f"samples is {samples}; wanted 1 or more", InputError)
    metrics = metrics_for(store) if metrics is None else metrics
    unknown = [name for name in metrics if name not in METRICS]
    require(not unknown, f"unknown metric {unknown[:1]}; known are {', '.join(METRICS)}", InputError)
    draw_of = {row: draw for draw, part in zip(draws, parts, strict=True) for row in part}
    whole = sorted(row for part in parts for row in part) == list(range(len(store)))
    require(whole, "the parts do not hold every case once; wanted each case in one part", InputError)
    rows = []
    for index in range(len(store)):
        batch = store.batch([index])
        probs = draw_of[index](batch, samples, rng_for(seed, "draw", store.cases[index]))
        seen = answers(probs, batch, tuple(float(s) for s in store.spacing_mm[index]))
        scores = {name: float(torch.stack([METRICS[name].score(a)[0] for a in seen]).mean()) for name in metrics}
        rows.append({"case": store.cases[index], "patient": store.patients[index], **scores})
        if on_case:
            on_case(index + 1)
    return Evaluation(rows, summarize(rows, metrics, seed=seed, resamples=resamples), samples)


def summarize(
    rows: Sequence[dict[str, Any]], metrics: Sequence[str], *, seed: int, resamples: int
) -> dict[str, Interval]:
    """Each metric's mean over cases with its interval over patients."""
    patients = [row["patient"] for row in rows]
    return {
        name: bootstrap_mean(
            [row[name] for row in rows], patients, numpy_rng_for(seed, "bootstrap", name), resamples=resamples
        )
        for name in metrics
    }


def predictions(draw: Draw, store: Store, index: int, *, samples: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """What a model says of a case nobody has drawn on: mean probability (K, H, W) and its spread over samples.

    The spread is the standard deviation over samples (divisor S), float32 (K, H, W), 0 for one sample.
    """
    probs = draw(store.batch([index]), samples, rng_for(seed, "draw", store.cases[index]))[0]
    return probs.mean(dim=0), probs.std(dim=0, correction=0)


def leave_one_rater_out(store: Store, *, classes: int = 2) -> np.ndarray:
    """How well raters meet each other: Dice of each rater with the consensus of the others, averaged within a case.

    Returns:
        float64 (cases,), higher is better; NaN where fewer than two raters are present. Ties among the others go to
        the foreground. The metric "dice_left_out" scores a model against the same masks: one that reaches this agrees
        with the others as well as the rater does who was left out.
    """
    result = np.full(len(store), np.nan)
    for index in range(len(store)):
        batch = store.batch([index])
        here = batch.present[0]
        if int(here.sum()) < 2:
            continue
        rest = majority_of_others(batch.masks, batch.present, classes, ties="highest")[0, here]
        own = batch.masks[0, here]
        result[index] = float(torch.stack([dice(rest == k, own == k).mean() for k in range(1, classes)]).mean())
    return result


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Rows, summary and definitions as plain values; NaN and infinity become null, which JSON can hold."""
    return {
        "samples": evaluation.samples,
        "rows": plain(evaluation.rows),
        "summary": {name: plain(asdict(interval)) for name, interval in evaluation.summary.items()},
        "definitions": {name: METRICS[name].definition for name in evaluation.summary},
    }
