"""``labutils report``: one table of several runs and the references that every table needs, on the same cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import typer

from labutils.cli.runs import require_writable
from labutils.cli.settings import require_fits
from labutils.cli.stores import counted
from labutils.core.checks import ConfigError, require
from labutils.core.runtime import pick_device
from labutils.data import catalog
from labutils.data.store import Store
from labutils.evaluation import draws
from labutils.evaluation.leaderboard import Row, as_markdown, make_table, write_table
from labutils.evaluation.passport import describe_store, make_passport
from labutils.evaluation.scores import METRICS
from labutils.models.base import Model
from labutils.models.samplers import SAMPLERS
from labutils.training.checkpoint import RUN, load_trained
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
    store = catalog.load(request.data, request.split, root=root, limit=limit)
    train = catalog.load(request.data, "train", root=root)
    networks = {name: load_trained(folder) for name, folder in map(_named, request.runs)}
    for network in networks.values():
        require_fits(network.config, store)
    typer.echo(f"{len(networks)} runs on {counted(store)}, {request.samples} samples a case")
    rows = [*_references(request, store, train), *_models(request, networks, store, where)]
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


def _references(request: Request, store: Store, train: Store) -> Iterator[Row]:
    classes = store.card.classes
    looks: list[tuple[str, Any, draws.Draw]] = [
        ("blank", "reference", draws.blank(classes)),
        ("mean training mask", "reference", draws.mean_training_mask(train, classes)),
        *([("Otsu", "reference", draws.otsu())] if classes == 2 else []),
        ("rater majority", "oracle", draws.rater_majority(classes)),
        ("perfect sampler", "oracle", draws.perfect_sampler(classes)),
    ]
    passport = _passport(request, {"reference": True}, [train, store], torch.device("cpu"), None)
    for name, kind, draw in looks:
        yield Row(name=name, kind=kind, draw=draw, passport=passport)


def _models(request: Request, networks: dict[str, Model], store: Store, device: torch.device) -> Iterator[Row]:
    for name, network in networks.items():
        weights = content_hash(network.state_dict())
        for rule in SAMPLERS:
            settings = {"model": network.card["model"], "settings": network.card["settings"], "sampler": rule}
            yield Row(
                name=name if rule == "model" else f"{name}, {rule.replace('-', ' ')}",
                kind="model",
                draw=draws.from_model(network, device, rule),
                passport=_passport(request, settings, [store], device, weights),
                parameters=sum(parameter.numel() for parameter in network.parameters()),
            )


def _passport(
    request: Request, settings: dict[str, Any], stores: Sequence[Store], device: torch.device, weights: str | None
) -> dict[str, Any]:
    return make_passport(
        config={**settings, "samples": request.samples, "resamples": request.resamples},
        data=[describe_store(store) for store in stores],
        seed=request.seed,
        device=device,
        definitions=[metric.id for metric in METRICS.values()],
        weights_sha256=weights,
    )
