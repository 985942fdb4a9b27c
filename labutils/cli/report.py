"""``labutils report``: one table of several runs and the references that every table needs, on the same cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import typer

from labutils.cli.runs import Run, require_writable, take_run
from labutils.cli.stores import HELD_SPLIT, counted, held_out_store
from labutils.core.checks import ConfigError, require
from labutils.core.runtime import pick_device
from labutils.core.words import quantity
from labutils.data import catalog
from labutils.data.crop import middle
from labutils.data.store import Store
from labutils.evaluation import draws
from labutils.evaluation.leaderboard import Row, as_markdown, make_table, write_table
from labutils.evaluation.passport import describe_store, make_passport
from labutils.evaluation.references import references
from labutils.evaluation.scores import METRICS, metrics_for
from labutils.models.samplers import rules_for
from labutils.training.checkpoint import RUN
from labutils.training.suit import require_fits
from labutils.training.tensors import content_hash

SHOWN = ("dice", "ged2_v", "hungarian_iou", "diversity")  # columns printed; the file has them all


class Request(NamedTuple):
    """What is asked."""

    runs: Sequence[str]  # NAME=DIR each
    data: str
    split: str
    out: Path
    title: str
    samples: int = 16
    seed: int = 0
    resamples: int = 2000


def report(request: Request, *, root: Path | None, device: str | None, limit: int | None) -> None:
    """Score every run under every sampling rule, and the references, and write one table."""
    where = pick_device(device)
    require(request.out.suffix == ".json", f"--out is {request.out}; wanted a .json file", ConfigError)
    require_writable(request.out.parent, "folder of --out")
    runs = _take(request.runs)
    store, train = (middle(one, _crop_px(runs)) for one in _stores(request, runs, root, limit))
    for run in runs.values():
        require_fits(run.network.config, store)
    typer.echo(f"{quantity(len(runs), 'run')} on {counted(store)}, {quantity(request.samples, 'sample')} a case")
    rows = [*_references(request, store, train), *_models(request, runs, store, where)]
    table = make_table(
        rows, store, title=request.title, samples=request.samples, seed=request.seed, resamples=request.resamples
    )
    write_table(request.out, table)
    typer.echo(as_markdown(table, SHOWN))
    typer.echo(f"the table is in {request.out}")


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    require(equals and name.strip() and folder, f"--run is {text!r}; wanted NAME=FOLDER", ConfigError)
    require((Path(folder) / RUN).is_file(), f"{folder} is not a run folder: it has no {RUN}", ConfigError)
    return name.strip(), Path(folder)


def _take(texts: Sequence[str]) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    for name, folder in map(_named, texts):
        require(name not in runs, f"two runs are called {name!r}; wanted a name of its own for each --run", ConfigError)
        runs[name] = take_run(folder)
    return runs


def _crop_px(runs: Mapping[str, Run]) -> int:
    """The side of the windows that all runs learned from; 0 for whole images."""
    sides = {run.crop_px for run in runs.values()}
    told = ", ".join(f"{name}: {run.crop_px}" for name, run in runs.items())
    require(len(sides) == 1, f"fit.crop_px of the runs differs ({told}); wanted runs that see the same", ConfigError)
    return sides.pop()


def _stores(request: Request, runs: Mapping[str, Run], root: Path | None, limit: int | None) -> tuple[Store, Store]:
    """The cases to score, and those that the references may learn from."""
    train = catalog.load(request.data, "train", root=root)
    if request.split != HELD_SPLIT:
        return catalog.load(request.data, request.split, root=root, limit=limit), train
    chosen = [set(run.members.get("chosen", {})) for run in runs.values()]
    same = all(cases == chosen[0] for cases in chosen)
    require(chosen and same, "the runs did not hold out the same patients; wanted runs that did", ConfigError)
    held = held_out_store(request.data, root, chosen[0], limit)
    others = [i for i, case in enumerate(train.cases) if case not in chosen[0]]
    return held, train.subset(others)


def _references(request: Request, store: Store, train: Store) -> Iterator[Row]:
    splits = [describe_store(train), describe_store(store)]
    passport = _passport(request, {"reference": True}, splits, torch.device("cpu"), None, store)
    for name, kind, draw in references(train):
        yield Row(name=name, kind=kind, draw=draw, passport=passport)


def _models(request: Request, runs: dict[str, Run], store: Store, device: torch.device) -> Iterator[Row]:
    for name, (network, fit, splits, _) in runs.items():
        weights, card = content_hash(network.state_dict()), network.card
        for rule in rules_for(network):
            settings = {"model": card["model"], "settings": card["settings"], "fit": fit, "sampler": rule}
            yield Row(
                name=name if rule == "model" else f"{name}, {rule.replace('-', ' ')}",
                kind="model",
                draw=draws.from_model(network, device, rule),
                passport=_passport(request, settings, [*splits, describe_store(store)], device, weights, store),
                parameters=sum(parameter.numel() for parameter in network.parameters()),
            )


def _passport(
    request: Request,
    settings: dict[str, Any],
    splits: Sequence[Mapping[str, Any]],
    device: torch.device,
    weights: str | None,
    store: Store,
) -> dict[str, Any]:
    return make_passport(
        config={**settings, "samples": request.samples, "resamples": request.resamples},
        data=splits,
        seed=request.seed,
        device=device,
        definitions=[METRICS[name].id for name in metrics_for(store)],
        weights_sha256=weights,
    )
