"""The networks of a leaderboard, each trained once on each fold in a run folder of its own, and the rows they make."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from labutils.core.config import to_dict
from labutils.core.files import read_json, write_json
from labutils.core.runtime import rng_for
from labutils.data.crop import middle
from labutils.data.folds import Division
from labutils.data.store import Store
from labutils.evaluation.contenders import Entrant
from labutils.evaluation.draws import Draw, from_model, from_sampler
from labutils.evaluation.leaderboard import Row, Scoring
from labutils.evaluation.passport import describe_store, make_passport, package_versions
from labutils.evaluation.references import references
from labutils.evaluation.scores import METRICS, metrics_for
from labutils.models.base import Model
from labutils.models.registry import build, make_config
from labutils.models.samplers import Ensemble
from labutils.training.checkpoint import PASSPORT, RUN, require_own_weights, same_run
from labutils.training.fit import Callback, fit
from labutils.training.settings import FitConfig
from labutils.training.suit import require_past_warm_up
from labutils.training.tensors import content_hash
from labutils.training.trained import load_trained


@dataclass(frozen=True, kw_only=True)
class Training:
    """One network to be trained: an entrant's member on a fold."""

    entrant: Entrant
    member: int  # 0-based, the seed of its weights and steps
    fold: int  # 0-based
    train: Store
    shared: Mapping[str, Any]  # settings of every model that has them
    fit: FitConfig  # of this training

    @property
    def folder(self) -> str:
        """The name of its run folder."""
        return f"{self.entrant.contender.folder}-{self.member}-fold-{self.fold}"

    @property
    def name(self) -> str:
        """What a person is told of it."""
        return f"{self.entrant.contender.name}, seed {self.member}, fold {self.fold + 1}"

    def asked(self) -> dict[str, Any]:
        """What is asked for, as its ``run.json`` holds it.

        Raises:
            ConfigError: a setting that its model does not have, or out of its range, or training ends in the warm-up.
            InputError: the model does not suit the data.
        """
        config = self.entrant.contender.config(self.shared, self.train, self.fit.crop_px)
        require_past_warm_up(config, self.fit, len(self.train))
        return {
            "model": self.entrant.contender.model,
            "settings": to_dict(config),
            "fit": to_dict(self.fit),
            "data": {"name": self.train.card.name, "splits": [describe_store(self.train)]},
        }


def trainings(
    entrants: Sequence[Entrant], division: Division, shared: Mapping[str, Any], fit_config: FitConfig
) -> list[Training]:
    """Every training of a leaderboard, those of one entrant one after another."""
    return [
        Training(
            entrant=entrant,
            member=member,
            fold=number,
            train=fold.train,
            shared=shared,
            fit=entrant.contender.fit_with(fit_config, member),
        )
        for entrant in entrants
        for member in range(entrant.members)
        for number, fold in enumerate(division.folds)
    ]


def train_once(training: Training, out: Path, device: torch.device, callbacks: Sequence[Callback] = ()) -> None:
    """Train in a run folder below `out`, or go on; one that is finished is left alone.

    It trains to the last epoch: no score chooses anything.

    Raises:
        ConfigError: the folder holds a training with other settings or data.
        NumericsError: the loss is not finite.
    """
    asked, folder = training.asked(), out / training.folder
    if not same_run(folder, asked):
        write_json(folder / RUN, asked | {"versions": package_versions()})
    if (folder / PASSPORT).exists():
        return
    network = build(asked["model"], make_config(asked["model"], asked["settings"]), rng_for(training.member, "weights"))
    result = fit(network, training.train, None, training.fit, device=device, run=folder, callbacks=callbacks)
    passport = make_passport(
        config={name: asked[name] for name in ("model", "settings", "fit")},
        data=asked["data"]["splits"],
        seed=training.member,
        device=device,
        definitions=[],
        weights_sha256=content_hash(result.network.state_dict()),
    )
    write_json(folder / PASSPORT, passport | {"seconds": round(result.seconds, 1)})


def trained(training: Training, out: Path) -> tuple[Model, dict[str, Any]]:
    """A finished network and its passport.

    Raises:
        WeightsError: it is missing or damaged, or its weights are not those of its passport.
        DataError: the passport is damaged.
    """
    folder = out / training.folder
    network, passport = load_trained(folder), read_json(folder / PASSPORT)
    require_own_weights(folder, network, passport)
    return network, passport


def reference_rows(division: Division, scoring: Scoring, crop_px: int = 0) -> Iterator[Row]:
    """The rows without a network; the mean training mask is that of each fold, of the middle where it is scored."""
    of_folds = [references(middle(fold.train, crop_px)) for fold in division.folds]
    passport = _passport({"reference": True}, division, scoring, torch.device("cpu"), None)
    for same in zip(*of_folds, strict=True):
        yield Row(name=same[0].name, kind=same[0].kind, draw=[one.draw for one in same], passport=passport)


def entrant_rows(
    entrant: Entrant, done: Sequence[Training], division: Division, out: Path, scoring: Scoring, device: torch.device
) -> Iterator[Row]:
    """The rows of an entrant whose trainings are finished: each rule on its first member, then all members together."""
    networks = {(one.member, one.fold): trained(one, out) for one in done if one.entrant == entrant}
    folds = range(len(division.folds))

    def row(name: str, rule: str, members: Sequence[int], draws: Sequence[Draw]) -> Row:
        """A row of some members, with settings of the first training, seconds of all, and one hash of all weights."""
        told = [networks[member, fold] for member in members for fold in folds]
        config = {**told[0][1]["config"], "sampler": rule, "seconds": [passport["seconds"] for _, passport in told]}
        hashes = "".join(passport["weights_sha256"] for _, passport in told)
        digest = told[0][1]["weights_sha256"] if len(told) == 1 else hashlib.sha256(hashes.encode()).hexdigest()
        return Row(
            name=name,
            kind="model",
            draw=draws,
            passport=_passport(config, division, scoring, device, digest),
            parameters=len(members) * sum(parameter.numel() for parameter in told[0][0].parameters()),
        )

    for rule in entrant.rules:
        yield row(entrant.row(rule), rule, [0], [from_model(networks[0, fold][0], device, rule) for fold in folds])
    if entrant.members > 1:
        members = range(entrant.members)
        together = [_ensemble([networks[member, fold][0] for member in members], device) for fold in folds]
        yield row(entrant.ensemble, "ensemble", members, together)


def _ensemble(members: Sequence[Model], device: torch.device) -> Draw:
    return from_sampler(Ensemble([network.to(device).eval() for network in members]), device)


def _passport(
    config: Mapping[str, Any], division: Division, scoring: Scoring, device: torch.device, weights: str | None
) -> dict[str, Any]:
    metrics = metrics_for(division.store) if scoring.metrics is None else scoring.metrics
    return make_passport(
        config={**config, "samples": scoring.samples, "resamples": scoring.resamples},
        data=[*(describe_store(fold.train) for fold in division.folds), describe_store(division.store)],
        seed=scoring.seed,
        device=device,
        definitions=[METRICS[name].id for name in metrics],
        weights_sha256=weights,
    )
