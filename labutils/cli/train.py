"""``labutils train``: a run folder from a model's name, settings and a dataset."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import typer

from labutils.cli.notes import rater_notes, truth_notes
from labutils.cli.runs import (
    MEMBERS,
    command_line,
    require_own_folder,
    write_members,
)
from labutils.cli.stores import Stores, counted, training_stores
from labutils.core.checks import DataError, NumericsError, require, require_choice
from labutils.core.config import to_dict
from labutils.core.files import only_one, read_json, write_json
from labutils.core.runtime import pick_device, rng_for
from labutils.core.words import quantity
from labutils.data.crop import middle
from labutils.data.loading import steps_per_epoch
from labutils.evaluation.passport import describe_store, make_passport, package_versions
from labutils.evaluation.scores import epoch_ids
from labutils.models.base import Model
from labutils.models.registry import MODELS, build
from labutils.search.redact import redacted
from labutils.training.callbacks import Curves, Pictures, ProgressBar
from labutils.training.checkpoint import PASSPORT, RUN, WEIGHTS, require_own_weights, same_run
from labutils.training.estimate import estimate
from labutils.training.fit import Callback, FitResult, fit
from labutils.training.settings import FitConfig
from labutils.training.suit import fit_config, model_config, require_past_warm_up
from labutils.training.tensors import content_hash
from labutils.training.trained import load_trained
from labutils.training.validation import require_goal, validation_scores

if TYPE_CHECKING:
    from labutils.search.tracking import TrackedRun, Tracker

TABLES = ("model", "fit")
PICTURES, TRACKED = "pictures", "tracking.json"


def tracking_of(track: bool, address: str | None) -> str | None:
    """The store to track in: None for none, "" for the one beside the run, or an address."""
    return address or ("" if track else None)


def train(
    model: str,
    data: str,
    out: Path,
    *,
    root: Path | None,
    settings: Mapping[str, Any],
    tracking: str | None,
    device: str | None,
    limit: int | None,
) -> None:
    """Train, or go on with, the run in `out`; everything is checked before anything is written."""
    require_choice("model", model, tuple(MODELS))
    where, config = pick_device(device), fit_config(model, settings["fit"])
    require_own_folder(out, "run folder", RUN)
    stores = training_stores(data, root, limit, config.crop_px)
    settled = model_config(model, settings["model"], stores.train, config.crop_px)
    network = build(model, settled, rng_for(config.seed, "weights"))
    require_goal(network, stores.validate, config, where)
    require_past_warm_up(network.config, config, len(stores.train))
    notes = [*rater_notes(stores.train), *truth_notes(network.config, stores.train)]
    asked = describe_run(model, network, config, stores, root) | {"notes": notes}
    known = same_run(out, asked)
    if known and (out / PASSPORT).exists():
        return _report_finished(out)
    typer.echo(f"learn from {counted(stores.train)}; choose on {counted(stores.validate)}")
    for note in notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{model} on {where}: {cost(network, stores, config, where)}")
    tracker = None if tracking is None else _tracker(out, tracking)
    out.mkdir(parents=True, exist_ok=True)
    with only_one(out / f".{RUN}.lock", f"another training is running in {out}; wait for it, or end it"):
        passport = _fit(network, stores, config, asked, known=known, out=out, tracker=tracker, device=where)
    return _report(out, passport)


def _fit(
    network: Model,
    stores: Stores,
    config: FitConfig,
    asked: dict[str, Any],
    *,
    known: bool,
    out: Path,
    tracker: Tracker | None,
    device: torch.device,
) -> dict[str, Any]:
    """Train in a run folder that nobody else trains in; give the passport, written last."""
    if not known:
        write_json(out / RUN, asked | {"versions": package_versions(), "command": command_line()})
    if not (out / MEMBERS).exists():
        write_members(out, stores)
    with contextlib.ExitStack() as stack:
        callbacks: list[Callback] = [ProgressBar(), Curves(out), Pictures(out / PICTURES)]
        tracked = None if tracker is None else stack.enter_context(_tracked(tracker, out, asked))
        if tracked is not None:
            callbacks.append(_epochs_of(tracked))
        result = fit(network, stores.train, stores.validate, config, device=device, run=out, callbacks=callbacks)
        if result.best is None or not math.isfinite(result.best):
            raise NumericsError(f"{config.goal.metric} is undefined, so {out} has no weights to keep")
        passport = _passport(asked, result, config, device)
        if tracked is not None:
            tracked.log_json(PASSPORT, passport)
        write_json(out / PASSPORT, passport)
    return passport


def cost(network: Model, stores: Stores, config: FitConfig, device: torch.device) -> str:
    """What the training will take, as a sentence; one step and the scoring of one batch are measured."""
    batch = middle(stores.train, config.crop_px).batch(range(min(config.batch_size, len(stores.train)))).to(device)
    steps = config.epochs * steps_per_epoch(len(stores.train), config.batch_size)
    states = {"adamw": 2, "sgd": 1}[config.optimizer]
    learning = estimate(network.to(device), batch, steps, states)
    few = stores.validate.subset(range(min(config.batch_size, len(stores.validate))))
    start = time.perf_counter()
    validation_scores(network, few, config, device)
    scoring_s = (time.perf_counter() - start) * len(stores.validate) / len(few) * config.epochs
    whole = replace(learning, total_s=learning.total_s + scoring_s)
    epochs = quantity(config.epochs, "epoch")
    return f"{whole.sentence()} for {epochs}, besides drawing curves and pictures"


def describe_run(model: str, network: Model, config: FitConfig, stores: Stores, root: Path | None) -> dict[str, Any]:
    """What was asked for, as it stands in ``run.json``."""
    return {
        "model": model,
        "settings": to_dict(network.config),
        "fit": to_dict(config),
        "data": {
            "name": stores.train.card.name,
            "root": None if root is None else str(root.expanduser().absolute()),
            "splits": [describe_store(store) for store in stores],
        },
    }


def _tracker(out: Path, address: str) -> Tracker:
    from labutils.search.tracking import Tracker  # MLflow takes seconds to import

    return Tracker(out.absolute().parent, address or None)


def _tracked(tracker: Tracker, out: Path, asked: Mapping[str, Any]) -> TrackedRun:
    """The run in the tracking store: a new one, or that of the interrupted training."""
    if (out / TRACKED).exists():
        return tracker.resume(str(read_json(out / TRACKED)["mlflow_run_id"]))
    manifests = {part["split"]: part["manifest"] for part in asked["data"]["splits"]}
    settings = {"model": {"name": asked["model"], **asked["settings"]}, "fit": asked["fit"], "data": manifests}
    tracked = tracker.start(out.name, settings)
    write_json(out / TRACKED, {"mlflow_run_id": tracked.id, "store": redacted(tracker.uri)})
    return tracked


def _epochs_of(tracked: TrackedRun) -> Callback:
    from labutils.search.tracking import TrackEpochs

    return TrackEpochs(tracked)


def _passport(asked: Mapping[str, Any], result: FitResult, config: FitConfig, device: torch.device) -> dict[str, Any]:
    goal = config.goal
    passport = make_passport(
        config={name: asked[name] for name in ("model", "settings", "fit")},
        data=asked["data"]["splits"],
        seed=config.seed,
        device=device,
        definitions=epoch_ids(goal),
        weights_sha256=content_hash(result.network.state_dict()),
    )
    kept = {"metric": goal.metric, "direction": goal.direction, "value": result.best, "epoch": result.best_epoch}
    return passport | {"kept": kept, "epochs": len(result.history), "seconds": round(result.seconds, 1)}


def _report(out: Path, passport: Mapping[str, Any]) -> None:
    kept = passport["kept"]
    typer.echo(
        f"{passport['config']['fit']['keep']} epoch {kept['epoch']} of {passport['epochs']}: "
        f"{kept['metric']} {kept['value']:.4f}; its weights are in {out / WEIGHTS}"
    )


def _report_finished(out: Path) -> None:
    """Say again how a finished run ended; its weights must still be those of its passport."""
    passport = read_json(out / PASSPORT)
    require_own_weights(out, load_trained(out), passport)
    require("kept" in passport, f"{out / PASSPORT} does not say how the run ended", DataError)
    typer.echo("this run is finished already")
    _report(out, passport)
