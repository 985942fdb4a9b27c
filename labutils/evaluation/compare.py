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
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labutils.core.checks import DataError, require
from labutils.core.config import to_dict
from labutils.core.files import read_json, write_json
from labutils.core.runtime import numpy_rng_for, rng_for
from labutils.data.fused import POOLED, WAYS, fused, fused_masks
from labutils.data.store import Store
from labutils.evaluation.bootstrap import bootstrap_mean, paired_difference
from labutils.evaluation.draws import from_model
from labutils.evaluation.evaluate import Evaluation, evaluate
from labutils.evaluation.leaderboard import NO_BREAK, recorded_file
from labutils.evaluation.passport import check_passport, describe_store, make_passport
from labutils.evaluation.scores import METRICS
from labutils.metrics.overlap import dice
from labutils.models.base import Model
from labutils.models.registry import MODELS, build
from labutils.models.samplers import rules_for
from labutils.training.fit import Callback, fit
from labutils.training.settings import FitConfig
from labutils.training.suit import model_config
from labutils.training.tensors import content_hash

SCORES = "scores.json"
SPREAD = ("ged2_v", "diversity")  # of the answers a contender draws, where it draws raters


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A row of the image-only part: a model, its settings, and the labels it learns from."""

    name: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: str = "raters"  # or a way of `labutils.data.fused`: learn from the fused mask as the only rater

    def knows(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some settings that its model has."""
        names = {entry.name for entry in fields(MODELS[self.model].config)}
        return {name: value for name, value in settings.items() if name in names}

    def suits(self, store: Store) -> bool:
        """Whether it can learn from a store: what follows single raters needs them identified."""
        follows = getattr(MODELS[self.model].config, "per_rater", False) or self.labels in POOLED
        return store.card.identified or not follows


PUBLISHED = {"coupled": True, "clean": "none", "likelihood": "marginal"}
CONTENDERS = (
    Contender(name="U-Net, vote fraction", model="unet", settings={"target": "soft"}),
    Contender(name="U-Net, random rater", model="unet", settings={"target": "random-rater"}),
    Contender(name="U-Net, STAPLE labels", model="unet", labels="staple"),
    Contender(name="U-Net, pooled STAPLE labels", model="unet", labels="staple-pooled"),
    Contender(name="global matrices", model="global-cm"),
    Contender(name="global matrices, published loss", model="global-cm", settings=PUBLISHED | {"trace": 0.01}),
    Contender(name="pixel matrices", model="pixel-cm"),
    Contender(name="pixel matrices, published loss", model="pixel-cm", settings=PUBLISHED | {"trace": 0.01}),
    Contender(name="stochastic matrices", model="stochastic-cm"),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained and scored."""

    train: Store
    test: Store
    shared: Mapping[str, Any]  # settings of every model that has them, such as width
    fit: FitConfig
    seeds: Sequence[int]
    samples: int = 16  # answers drawn where a contender draws raters
    resamples: int = 1000
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def score(self) -> str:
        """The Dice that the table is about: with the truth where one is known, else with the raters' consensus."""
        return "dice_truth" if self.test.truth is not None else "dice"


def run_one(plan: Plan, contender: Contender, seed: int, folder: Path, callbacks: Sequence[Callback] = ()) -> None:
    """Train one contender with one seed in a folder of its own and write its scores; a finished one is left alone.

    An interrupted training goes on where its checkpoint stands.
    """
    if (folder / SCORES).exists():
        return
    train = plan.train if contender.labels == "raters" else fused(plan.train, contender.labels)
    settings = {**contender.knows(plan.shared), **contender.settings}
    network = build(contender.model, model_config(contender.model, settings, train), rng_for(seed, "weights"))
    config = replace(plan.fit, seed=seed, keep="last", patience=0)
    result = fit(network, train, None, config, device=plan.device, run=folder, callbacks=callbacks)
    passport = make_passport(
        config={"model": contender.model, "settings": to_dict(network.config), "fit": to_dict(config)},
        data=[describe_store(train), describe_store(plan.test)],
        seed=seed,
        device=plan.device,
        definitions=[METRICS[name].id for name in (plan.score, *SPREAD)],
        weights_sha256=content_hash(network.state_dict()),
    )
    scores = _scores(plan, result.network, seed)
    write_json(folder / SCORES, scores | {"seconds": round(result.seconds, 1), "passport": passport})


def _scores(plan: Plan, network: Model, seed: int) -> dict[str, Any]:
    rules = rules_for(network)
    one = "clean" if "clean" in rules else "model"
    answer = _evaluate(plan, network, one, 1, [plan.score], seed)
    told: dict[str, Any] = {"values": answer.values(plan.score).round(5).tolist()}
    if one == "clean" or plan.test.truth is None:
        spread = _evaluate(plan, network, "model", plan.samples, list(SPREAD), seed)
        told["spread"] = {name: asdict(spread.summary[name]) for name in SPREAD}
    if plan.test.truth is not None and plan.test.card.identified:
        told["raters"] = _dice_with_raters(plan, network, one)
    return told


def _evaluate(plan: Plan, network: Model, rule: str, n: int, metrics: list[str], seed: int) -> Evaluation:
    draw = from_model(network, plan.device, rule)
    return evaluate(draw, plan.test, samples=n, seed=seed, resamples=plan.resamples, metrics=metrics)


@torch.no_grad()
def _dice_with_raters(plan: Plan, network: Model, rule: str) -> list[float]:
    """Mean Dice of the answer with each rater's masks: whom the network has learned to be."""
    draw, sums = from_model(network, plan.device, rule), np.zeros(plan.test.masks.shape[1])
    for first in range(0, len(plan.test), 200):
        batch = plan.test.batch(range(first, min(first + 200, len(plan.test))))
        found = draw(batch, 1, rng_for(0, "raters"))[:, 0].argmax(dim=1) > 0
        sums += [float(dice(found, batch.masks[:, rater] > 0).sum()) for rater in range(len(sums))]
    return [round(float(value), 4) for value in sums / len(plan.test)]


def fusion_rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """Dice with the truth of every way of fusing the test cases' own masks; nothing without a truth."""
    if plan.test.truth is None:
        return
    classes = plan.test.card.classes
    truth = torch.from_numpy(np.asarray(plan.test.truth))
    for way in WAYS:
        if way in POOLED and not plan.test.card.identified:
            continue
        found = torch.from_numpy(fused_masks(plan.test, way))
        scores = torch.stack([dice(found == k, truth == k) for k in range(1, classes)]).mean(dim=0)
        rng = numpy_rng_for(0, "bootstrap", way)
        interval = bootstrap_mean(scores.numpy(), plan.test.patients, rng, resamples=plan.resamples)
        yield {"name": way, "score": asdict(interval)}


def make_comparison(plan: Plan, contenders: Sequence[Contender], folder_of: Mapping[tuple[str, int], Path]) -> Any:
    """The table as plain values, from the scores that `run_one` wrote.

    The first contender is the one that the others are compared with, seed by seed on the same cases.
    """
    require(contenders, "there is no contender")
    scores = {key: read_json(path / SCORES) for key, path in folder_of.items()}
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
    return {
        "score": {"name": plan.score, "id": METRICS[plan.score].id, "says": METRICS[plan.score].says},
        "data": [describe_store(plan.train), describe_store(plan.test)],
        "raters": plan.test.card.raters,
        "compared_with": contenders[0].name,
        "samples": plan.samples,
        "image_only": rows,
        "with_masks": list(fusion_rows(plan)),
    }


def _seed_row(plan: Plan, scores: Mapping[tuple[str, int], Any], first: str, name: str, seed: int) -> dict[str, Any]:
    told = scores[name, seed]
    values, patients = np.array(told["values"], np.float64), plan.test.patients
    rng = lambda what: numpy_rng_for(seed, "bootstrap", what)  # noqa: E731
    row = {
        "seed": seed,
        "score": asdict(bootstrap_mean(values, patients, rng("score"), resamples=plan.resamples)),
        "weights_sha256": told["passport"]["weights_sha256"],
        "seconds": told["seconds"],
    }
    if name != first:
        base = np.array(scores[first, seed]["values"], np.float64)
        gap = paired_difference(values, base, patients, rng("difference"), resamples=plan.resamples)
        row["minus_first"] = asdict(gap)
    row |= {key: told[key] for key in ("spread", "raters") if key in told}
    if "raters" in told:
        row["settled_on"] = settled_on(row["score"]["mean"], told["raters"])
    return row


def settled_on(with_truth: float, with_raters: Sequence[float]) -> int | None:
    """The rater whom an answer resembles more than the truth, by mean Dice; None where the truth is nearest."""
    nearest = int(np.argmax(with_raters))
    return nearest if with_raters[nearest] > with_truth else None


def recorded(name: str) -> dict[str, Any]:
    """A recorded comparison of the book, ``results/<name>.json`` beside the package; each row has a whole passport.

    Raises:
        DataError: there is no such file, it is damaged, no comparison, or a row has no passport.
    """
    path = recorded_file(name)
    table = read_json(path)
    if not isinstance(table, dict) or not {"image_only", "with_masks", "score", "compared_with"} <= set(table):
        raise DataError(f"{path} is not a comparison")
    for row in table["image_only"]:
        check_passport(row.get("passport"), f"{path}, row {row.get('name')!r}")
    return table


def image_only_markdown(table: Mapping[str, Any], digits: int = 3) -> str:
    """The image-only part for a page: the score of every seed, and how each row fares against the first one.

    Seeds that settled on a rater are marked with a star; "above" counts the seeds whose interval of the difference to
    the row that all are compared with, on the same cases, lies above 0, and "below" those where it lies below.
    """
    first = table["compared_with"]
    heads = ("learned from the image", "median", "worst", "every seed", "above", "below")
    lines = ["| " + " | ".join(heads) + " |", "| :-- | --: | --: | :-- | --: | --: |"]
    for row in table["image_only"]:
        means = [_starred(seed, digits) for seed in row["seeds"]]
        gaps = [seed["minus_first"] for seed in row["seeds"] if "minus_first" in seed]
        sure = (sum(gap["low"] > 0 for gap in gaps), sum(gap["high"] < 0 for gap in gaps))
        counts = ("", "") if row["name"] == first else sure
        cells = (f"{row['median']:.{digits}f}", f"{row['worst']:.{digits}f}", " ".join(means), *counts)
        lines.append(f"| {row['name']} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _starred(seed: Mapping[str, Any], digits: int) -> str:
    return f"{seed['score']['mean']:.{digits}f}" + ("" if seed.get("settled_on") is None else r"\*")


def with_masks_markdown(table: Mapping[str, Any], digits: int = 3) -> str:
    """The part that fuses the test cases' own masks for a page: mean and interval of each way."""
    lines = ["| fused from the masks of the test case | score |", "| :-- | --: |"]
    for row in table["with_masks"]:
        mean, low, high = (f"{row['score'][part]:.{digits}f}" for part in ("mean", "low", "high"))
        lines.append(f"| {row['name']} | {mean} [{low},{NO_BREAK}{high}] |")
    return "\n".join(lines)
