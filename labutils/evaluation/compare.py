"""Many models on the same data with several seeds: training, scores of every seed, and what fusing alone reaches.

Two questions are kept apart. **Image only**: each contender sees the image of a test case and has learned from the
training cases' raters. **With the raters' masks of the test case**: fusing sees no image and no training case, and
the masks it fuses are those of the very case it is scored on. A table holds both and never compares across them.

Nothing is chosen by the truth, and nothing by a validation set: every contender trains on all training cases for the
same number of epochs, and the weights of the last step are scored.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labutils.core.checks import DataError, require
from labutils.core.config import to_dict
from labutils.core.files import plain, read_json, write_json
from labutils.core.runtime import numpy_rng_for, rng_for
from labutils.data.fused import PRIORS, fused, fused_masks, ways_for
from labutils.data.store import Store
from labutils.evaluation.bootstrap import bootstrap_mean, paired_difference
from labutils.evaluation.contenders import RATERS, Contender
from labutils.evaluation.draws import from_model
from labutils.evaluation.evaluate import Evaluation, evaluate
from labutils.evaluation.health import beliefs_on, kl_of_latents
from labutils.evaluation.leaderboard import raters_among_themselves
from labutils.evaluation.passport import describe_store, make_passport, package_versions
from labutils.evaluation.recovery import recovered, references
from labutils.evaluation.scores import METRICS, metrics_for
from labutils.metrics.overlap import dice
from labutils.models.base import Model
from labutils.models.registry import build, make_config
from labutils.models.samplers import rules_for
from labutils.training.checkpoint import RUN, same_run
from labutils.training.fit import Callback, fit
from labutils.training.settings import FitConfig
from labutils.training.suit import require_fits, require_past_warm_up
from labutils.training.tensors import content_hash

SCORES = "scores.json"
SPREAD = ("ged2_v", "diversity")  # of the answers that a contender draws
DIGITS = 6  # after the point, of every number kept
NEARER = 1e-3  # in mean Dice: closer than this, an answer resembles truth and rater alike


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained and scored."""

    train: Store
    test: Store
    shared: Mapping[str, Any]  # settings of every model that has them, such as width
    fit: FitConfig  # its seed, keep and patience are not used
    seeds: Sequence[int]
    samples: int = 16  # answers drawn where the spread of answers is scored
    resamples: int = 1000
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        require(self.seeds, "there is no seed; wanted one or more")
        for store, purpose in ((self.train, "learn from"), (self.test, "score against")):
            require(store.labeled, f"{store.card.name}/{store.split} has no masks to {purpose}")
        several = self.test.truth is not None or bool((np.asarray(self.test.present).sum(axis=1) > 1).any())
        where = f"{self.test.card.name}/{self.test.split}"
        require(several, f"{where} has no truth and one rater a case; wanted a second one, to score against the others")

    @property
    def score(self) -> str:
        """The Dice that the table is about: with the truth where one is known, else with all raters but one."""
        return "dice_truth" if self.test.truth is not None else "dice_left_out"


def describe_training(plan: Plan, contender: Contender, seed: int) -> dict[str, Any]:
    """What is asked for of one training, as its ``run.json`` holds it.

    Raises:
        ConfigError: a setting that its model does not have, or out of its range, or training ends in the warm-up.
        InputError: the model does not suit the data.
    """
    fit_config = contender.fit_with(plan.fit, seed)
    config = contender.config(plan.shared, plan.train, fit_config.crop_px)
    require_fits(config, plan.test)
    require_past_warm_up(config, fit_config, len(plan.train))
    also = {"also": list(contender.also)} if contender.also else {}
    return {
        "model": contender.model,
        "settings": to_dict(config),
        "fit": to_dict(fit_config),
        "labels": contender.labels,
        "scoring": {"samples": plan.samples, "resamples": plan.resamples, **also},
        "data": {"name": plan.train.card.name, "splits": [describe_store(plan.train), describe_store(plan.test)]},
    }


def run_one(plan: Plan, contender: Contender, seed: int, folder: Path, callbacks: Sequence[Callback] = ()) -> None:
    """Train one contender with one seed in a run folder of its own and write its scores; a finished one is left alone.

    An interrupted training goes on where its checkpoint stands, and ends with the same bits on a CPU.

    Raises:
        ConfigError: the folder holds a training with other settings or data.
        InputError: as `describe_training`.
        DataError: the scores of a finished training are damaged.
        NumericsError: the loss is not finite.
    """
    asked = describe_training(plan, contender, seed)
    if not same_run(folder, asked):
        write_json(folder / RUN, asked | {"versions": package_versions()})
    if (folder / SCORES).exists():
        _scores_in(folder, plan)
        return
    train = learned_from(plan.train, contender.labels)
    network = build(contender.model, make_config(contender.model, asked["settings"]), rng_for(seed, "weights"))
    config = contender.fit_with(plan.fit, seed)
    result = fit(network, train, None, config, device=plan.device, run=folder, callbacks=callbacks)
    scores = _scores(plan, contender, result.network, seed)
    passport = make_passport(
        config={name: asked[name] for name in ("model", "settings", "fit", "labels", "scoring")},
        data=[describe_store(train), describe_store(plan.test)],
        seed=seed,
        device=plan.device,
        definitions=[METRICS[name].id for name in (plan.score, *scores.get("spread", {})) if name in METRICS],
        weights_sha256=content_hash(result.network.state_dict()),
    )
    write_json(folder / SCORES, scores | {"seconds": round(result.seconds, 1), "passport": passport})


def _scores_in(folder: Path, plan: Plan) -> dict[str, Any]:
    told = read_json(folder / SCORES)
    values, passport = (told.get(key) if isinstance(told, dict) else None for key in ("values", "passport"))
    whole = isinstance(values, list) and len(values) == len(plan.test) and isinstance(passport, dict)
    wanted = f"wanted one for each of {len(plan.test)} cases, and a passport; remove its folder to train again"
    require(whole, f"{folder / SCORES} is damaged: {wanted}", DataError)
    return told


@lru_cache(maxsize=4)
def learned_from(train: Store, labels: str) -> Store:
    """The training cases under the labels of a contender; fused once for all its seeds."""
    return train if labels == RATERS else fused(train, labels)


def _scores(plan: Plan, contender: Contender, network: Model, seed: int) -> dict[str, Any]:
    clean = "clean" in rules_for(network)
    one, many = ("clean", 1) if clean else ("model", plan.samples if network.stochastic else 1)
    answer = _evaluate(plan, network, one, many, [plan.score], seed)
    told: dict[str, Any] = {"values": answer.values(plan.score)}
    if network.stochastic or plan.test.truth is None:
        # a network with one answer is given the whole shapes that its probabilities allow
        rule = "model" if network.stochastic else "random-threshold"
        metrics = [*SPREAD, *(name for name in contender.also if name in metrics_for(plan.test, faults=True))]
        spread = _evaluate(plan, network, rule, plan.samples, metrics, seed)
        told["spread"] = {"sampler": rule, **{name: asdict(spread.summary[name]) for name in metrics}}
        if contender.also:  # such rows are compared in what they draw, too
            told["drawn"] = {name: spread.values(name).tolist() for name in metrics}
    if plan.test.truth is not None and plan.test.card.identified:
        told["raters"] = _dice_with_raters(plan, network, one, many)
    if hasattr(network, "latents"):
        believed = beliefs_on(network.to(plan.device).eval(), plan.test, plan.device)
        told["nats"] = kl_of_latents(believed, rng_for(seed, "nats"))[1]
    if planted := recovered(network, plan.test, plan.device, samples=plan.samples, seed=seed):
        told["planted"] = planted
    return plain({**told, "values": told["values"].tolist()}, DIGITS)


def _evaluate(plan: Plan, network: Model, rule: str, n: int, metrics: list[str], seed: int) -> Evaluation:
    draw = from_model(network, plan.device, rule)
    return evaluate(draw, plan.test, samples=n, seed=seed, resamples=plan.resamples, metrics=metrics)


@torch.no_grad()
def _dice_with_raters(plan: Plan, network: Model, rule: str, n: int) -> list[float]:
    """Mean Dice of n answers' mean with each rater's masks, NaN for one never present: whom it learned to be."""
    draw, test = from_model(network, plan.device, rule), plan.test
    scores = np.full(test.present.shape, np.nan)
    for index in range(len(test)):
        batch = test.batch([index])
        found = draw(batch, n, rng_for(0, "raters")).mean(dim=1).argmax(dim=1)
        for rater in np.flatnonzero(test.present[index]):
            scores[index, rater] = _mean_dice(found, batch.masks[:, rater], test.card.classes)[0]
    judged = np.asarray(test.present.sum(axis=0))
    means = np.divide(np.nansum(scores, axis=0), judged, out=np.full(len(judged), np.nan), where=judged > 0)
    return [float(mean) for mean in means]


def _mean_dice(found: torch.Tensor, wanted: torch.Tensor, classes: int) -> torch.Tensor:
    """Dice of labels (B, H, W) case by case, float64 (B,), the mean over foreground classes."""
    return torch.stack([dice(found == k, wanted == k) for k in range(1, classes)]).mean(dim=0)


def fusion_rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """Dice with the truth of every way of fusing the test cases' own masks; nothing without a truth.

    Each row tells the prior it used, "" for votes: what STAPLE answers depends on it.
    """
    if plan.test.truth is None:
        return
    truth = torch.from_numpy(np.asarray(plan.test.truth))
    for way in ways_for(plan.test):
        found = torch.from_numpy(fused_masks(plan.test, way))
        scores = _mean_dice(found, truth, plan.test.card.classes).numpy()
        rng = numpy_rng_for(0, "bootstrap", way)
        interval = bootstrap_mean(scores, plan.test.patients, rng, resamples=plan.resamples)
        yield {"name": way, "prior": PRIORS.get(way, ""), "score": asdict(interval)}


def make_comparison(
    plan: Plan, contenders: Sequence[Contender], folder_of: Mapping[tuple[str, int], Path]
) -> dict[str, Any]:
    """The table as plain values, from the scores that `run_one` wrote in the folder of each (name, seed).

    The first contender is the one that the others are compared with, seed by seed on the same cases.

    Raises:
        InputError: there is no contender.
        DataError: scores are missing or damaged.
    """
    require(contenders, "there is no contender")
    scores = {key: _scores_in(path, plan) for key, path in folder_of.items()}
    rows = []
    for contender in contenders:
        seeds = [_seed_row(plan, scores, contenders[0].name, contender.name, seed) for seed in plan.seeds]
        means = [row["score"]["mean"] for row in seeds]
        rows.append(
            {
                "name": contender.name,
                "labels": contender.labels,
                "median": statistics.median(means),
                "worst": min(means),
                "best": max(means),
                "seeds": seeds,
                "passport": scores[contender.name, plan.seeds[0]]["passport"],
            }
        )
    table = {
        "score": {"name": plan.score, "id": METRICS[plan.score].id, "says": METRICS[plan.score].says},
        "data": [describe_store(plan.train), describe_store(plan.test)],
        "raters": plan.test.card.raters,
        "compared_with": contenders[0].name,
        "samples": plan.samples,
        "image_only": rows,
        "with_masks": list(fusion_rows(plan)),
    }
    if plan.test.truth is None:
        table["raters_among_themselves"] = raters_among_themselves(plan.test, seed=0, resamples=plan.resamples)
    if planted := references(plan.train, plan.test):
        table["planted"] = planted
    return plain(table, DIGITS)


def _seed_row(plan: Plan, scores: Mapping[tuple[str, int], Any], first: str, name: str, seed: int) -> dict[str, Any]:
    told, patients = scores[name, seed], plan.test.patients
    values = np.array(told["values"], np.float64)
    rng = numpy_rng_for(seed, "bootstrap", "score")
    row = {
        "seed": seed,
        "score": asdict(bootstrap_mean(values, patients, rng, resamples=plan.resamples)),
        "weights_sha256": told["passport"]["weights_sha256"],
        "seconds": told["seconds"],
    }
    if name != first:
        base = scores[first, seed]
        row["minus_first"] = _minus(plan, seed, told["values"], base["values"])
        drawn = {m: (told["drawn"][m], base["drawn"][m]) for m in told.get("drawn", {}) if m in base.get("drawn", {})}
        if drawn:
            row["spread_minus_first"] = {m: _minus(plan, seed, *values, m) for m, values in drawn.items()}
    row |= {key: told[key] for key in ("spread", "nats", "raters", "planted") if key in told}
    if "raters" in told:
        row["settled_on"] = settled_on(row["score"]["mean"], told["raters"])
    return row


def _minus(plan: Plan, seed: int, values: Sequence[float], base: Sequence[float], *purpose: str) -> dict[str, Any]:
    """The mean of values - base, case by case, with its interval over patients; None, an undefined score, is NaN."""
    first, second = (np.array(scores, np.float64) for scores in (values, base))
    rng = numpy_rng_for(seed, "bootstrap", "difference", *purpose)
    return asdict(paired_difference(first, second, plan.test.patients, rng, resamples=plan.resamples))


def settled_on(with_truth: float, with_raters: Sequence[float | None]) -> int | None:
    """The rater whom an answer resembles more than the truth, by more than `NEARER`; None where there is none.

    Args:
        with_truth: mean Dice of the answer with the truth.
        with_raters: with the masks of each rater; None for a rater who judged no case.
    """
    known = [-1.0 if value is None else value for value in with_raters]
    nearest = int(np.argmax(known))
    return nearest if known[nearest] > with_truth + NEARER else None
