"""``labutils evaluate``: scores of a run case by case, with intervals; or predictions, where nobody has drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
import typer

from labutils.cli.runs import Run, require_writable, take_run
from labutils.cli.stores import HELD_SPLIT, counted, held_out_store
from labutils.core.checks import ConfigError, DataError, require, require_choice
from labutils.core.files import atomic_write, write_json
from labutils.core.runtime import pick_device
from labutils.core.words import quantity
from labutils.data import catalog
from labutils.data.crop import middle
from labutils.data.store import Store
from labutils.evaluation.draws import Draw, from_model
from labutils.evaluation.evaluate import Evaluation, as_json, evaluate, predictions
from labutils.evaluation.health import latent_health
from labutils.evaluation.passport import describe_store, make_passport
from labutils.evaluation.scores import METRICS, metrics_for
from labutils.models.base import Model
from labutils.models.samplers import SAMPLERS, rules_for
from labutils.training.suit import require_fits
from labutils.training.tensors import content_hash

RESAMPLES = 2000


class Request(NamedTuple):
    """What is asked."""

    run: Path
    data: str
    split: str
    json_file: Path
    samples: int = 16
    sampler: str = "model"
    predictions: Path | None = None  # folder for maps; None: beside the JSON file, where there are no scores
    seed: int = 0


def evaluate_run(request: Request, *, root: Path | None, device: str | None, limit: int | None) -> None:
    """Score a run on a split, or predict it; everything is checked before anything is computed or written."""
    where = pick_device(device)
    require_choice("sampler", request.sampler, tuple(SAMPLERS))
    require(not request.json_file.is_dir(), f"--json {request.json_file} is a folder; wanted a file", ConfigError)
    require_writable(request.json_file.parent, "folder of --json")
    run = take_run(request.run)
    network = run.network
    whole = _store(request, run, root, limit)
    store = middle(whole, run.crop_px)
    require_fits(network.config, store)
    require_choice(f"sampler of {network.card['model']}", request.sampler, rules_for(network))
    maps = request.predictions or (None if store.labeled else _beside(request.json_file))
    if maps is not None:
        require(
            store is whole, f"{request.run} learned from {_windows(run)}; wanted no maps of larger images", ConfigError
        )
        require_writable(maps, "folder of --predictions")
        _require_file_names(store)
    draw = from_model(network, where, request.sampler)
    typer.echo(f"{request.run} on {counted(store)}, {quantity(request.samples, 'sample')} a case")
    if store is not whole:
        typer.echo(f"note: it learned from {_windows(run)}, so the middle of each case is scored")
    passport = _passport(request, run, store, where)
    if store.labeled:
        scores = _score(draw, store, request)
        write_json(request.json_file, as_json(scores) | {"passport": passport})
        for line in [*table(scores), *run.notes(store), *_health_notes(network, store, request, where)]:
            typer.echo(line)
    if maps is not None:
        rows = _predict(draw, store, request, maps)
        if not store.labeled:
            write_json(request.json_file, {"samples": request.samples, "rows": rows, "passport": passport})
            typer.echo("nobody has drawn on these cases, so there are predictions and no scores")
        joined = _join(request, store, maps)
        typer.echo(f"maps of the mean probability are in {maps}{', as volumes too' if joined else ''}")
    typer.echo(f"rows of every case are in {request.json_file}")


def _store(request: Request, run: Run, root: Path | None, limit: int | None) -> Store:
    if request.split == HELD_SPLIT:
        return held_out_store(request.data, root, run.members.get("chosen", {}), limit)
    return catalog.load(request.data, request.split, root=root, limit=limit)


def _score(draw: Draw, store: Store, request: Request) -> Evaluation:
    from tqdm.auto import tqdm

    with tqdm(total=len(store), unit="case", mininterval=0.5) as bar:
        return evaluate(
            draw,
            store,
            samples=request.samples,
            seed=request.seed,
            resamples=RESAMPLES,
            on_case=lambda done: bar.update(done - bar.n),
        )


def _health_notes(network: Model, store: Store, request: Request, device: torch.device) -> list[str]:
    """What is wrong with the latent vector of a network that has one; nothing where one sample is asked for."""
    if request.samples < 2 or not hasattr(network, "latents"):
        return []
    found = latent_health(network, store, samples=request.samples, seed=request.seed, device=device)
    return [f"note: {sentence}" for sentence in found.sentences()]


def _predict(draw: Draw, store: Store, request: Request, folder: Path) -> list[dict[str, Any]]:
    """Write one map a case, 8-bit, 255 where every sample is sure of foreground; give a row a case."""
    import cv2

    rows = []
    for index, case in enumerate(store.cases):
        mean, _ = predictions(draw, store, index, samples=request.samples, seed=request.seed)
        gray = ((1 - mean[0]).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        with atomic_write(folder / f"{case}.png") as stream:
            stream.write(cv2.imencode(".png", gray)[1].tobytes())
        area = int((mean.argmax(dim=0) > 0).sum())
        row = {"case": case, "patient": store.patients[index], "predicted_area_px": area}
        if store.card.spacing_known:
            row["predicted_area_mm2"] = area * float(store.spacing_mm[index].prod())
        rows.append(row)
    return rows


def _join(request: Request, store: Store, maps: Path) -> list[Path]:
    """Put the maps of planes back into volumes, for a dataset whose cases are planes."""
    join = catalog.dataset(request.data).join_maps
    return [] if join is None else join(maps, store.cases)


def _windows(run: Run) -> str:
    return f"windows of {run.crop_px} x {run.crop_px} pixels"


def _beside(json_file: Path) -> Path:
    return json_file.with_name(f"{json_file.stem}-maps")


def _require_file_names(store: Store) -> None:
    """A case's id names its map, so it must not lead out of the folder."""
    for case in store.cases:
        fits = case == Path(case).name and case not in ("", ".", "..") and "\\" not in case
        require(fits, f"case {case!r} of {store.card.name}/{store.split} cannot name a file", DataError)


def _passport(request: Request, run: Run, store: Store, device: torch.device) -> dict[str, Any]:
    card = run.network.card
    return make_passport(
        config={
            "model": card["model"],
            "settings": card["settings"],
            "fit": run.fit,
            "sampler": request.sampler,
            "samples": request.samples,
            "resamples": RESAMPLES,
        },
        data=[*run.splits, describe_store(store)],
        seed=request.seed,
        device=device,
        definitions=[METRICS[name].id for name in metrics_for(store)] if store.labeled else [],
        weights_sha256=content_hash(run.network.state_dict()),
    )


def table(scores: Evaluation) -> list[str]:
    """The summary, aligned: mean, interval, which way is better, cases without a value."""
    level = next(iter(scores.summary.values())).level
    head = ("metric", "mean", f"{level:.0%} interval", "better", "")
    rows = [head]
    for name, interval in scores.summary.items():
        bounds = f"[{interval.low:.4g}, {interval.high:.4g}]"
        undefined = (
            f"undefined in {interval.undefined} of {quantity(len(scores.rows), 'case')}" if interval.undefined else ""
        )
        rows.append((name, f"{interval.mean:.4g}", bounds, METRICS[name].better, undefined))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
