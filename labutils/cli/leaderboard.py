"""``labutils leaderboard``: train every network on every fold, score all their rows on all cases, and write one table.

It may be given a number of minutes: it then stops when they are over, at a whole checkpoint or between two rows, and
goes on where it was when the same command is given again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import typer

from labutils.cli.compare import fit_config, require_shared
from labutils.cli.runs import require_own_folder, require_writable
from labutils.cli.stores import counted
from labutils.core.checks import ConfigError, DataError, LabutilsError, require, require_choice
from labutils.core.files import only_one, read_json, write_json
from labutils.core.runtime import pick_device
from labutils.core.words import hyphened, quantity
from labutils.data import catalog
from labutils.data.crop import middle
from labutils.data.folds import Division, by_patient, by_split
from labutils.evaluation.contenders import ENTRANTS, Entrant
from labutils.evaluation.entries import Training, entrant_rows, reference_rows, train_once, trainings
from labutils.evaluation.leaderboard import Row, Scoring, as_markdown, assemble, draw_seconds, score_row, write_table
from labutils.evaluation.passport import check_passport
from labutils.evaluation.scores import METRICS
from labutils.training.callbacks import ProgressBar
from labutils.training.checkpoint import PASSPORT, RUN, same_run
from labutils.training.fit import Callback, Epoch

TABLES = ("model", "fit")
MARK, SCORES = ".leaderboard", "scores"  # files in the folder of trainings
_NO_EPOCH = "every network trains to the last epoch"
GIVEN = {"seed": "trainings have the seeds 0, 1 and so on", "keep": _NO_EPOCH, "patience": _NO_EPOCH, "goal": _NO_EPOCH}
SHOWN = ("dice", "ged2_v", "hungarian_iou", "diversity")  # columns printed; the file has them all


class Request(NamedTuple):
    """What is asked."""

    data: str
    split: str  # that is scored; "" where there are folds
    folds: int  # of all patients of "train" and "validate"; 0 where there is a split
    out: Path
    json_file: Path
    networks: str  # key of `ENTRANTS`
    only: Sequence[str]
    samples: int
    metrics: Sequence[str]  # empty: all that the cases allow
    minutes: float | None
    title: str


class TimeOverError(LabutilsError):
    """The minutes are over. No fault: what is done is kept."""


class Deadline(Callback):
    """Ends a training at the first whole checkpoint after its time."""

    def __init__(self, minutes: float | None, every: int) -> None:
        self.end = None if minutes is None else time.monotonic() + 60 * minutes
        self.every = every  # steps between checkpoints

    def check(self) -> None:
        """Raise `TimeOverError` where the minutes are over."""
        if self.end is not None and time.monotonic() >= self.end:
            raise TimeOverError("the minutes are over")

    def on_step(self, epoch: int, step: int, loss: float) -> None:
        """Look at the clock after a checkpoint inside an epoch."""
        if step % self.every == 0:
            self.check()

    def on_epoch(self, epoch: Epoch) -> None:
        """Look at the clock after the checkpoint of an epoch."""
        self.check()


def leaderboard(
    request: Request,
    *,
    root: Path | None,
    settings: Mapping[str, Any],
    device: str | None,
    limit: int | None,
) -> None:
    """Train and score what is missing, then write the table; everything is checked before anything is written."""
    where, config = pick_device(device), fit_config(settings["fit"], GIVEN, "a leaderboard")
    require(not request.json_file.is_dir(), f"--json {request.json_file} is a folder; wanted a file", ConfigError)
    require_writable(request.json_file.parent, "folder of --json")
    require_own_folder(request.out, "folder of trainings", MARK)
    entrants = _entrants(request)
    require_shared(settings["model"], [entrant.contender for entrant in entrants], "the leaderboard")
    for name in request.metrics:
        require_choice("--metric", name, tuple(METRICS))
    division = _division(request, root, limit, config.crop_px)
    wanted = trainings(entrants, division, settings["model"], config)
    for training in wanted:
        require_own_folder(request.out / training.folder, "run folder", RUN)
        same_run(request.out / training.folder, training.asked())
    scoring = Scoring(request.samples, metrics=tuple(request.metrics) or None, parts=division.parts)
    for note in filter(None, (entrant.contender.own_fit for entrant in entrants)):
        typer.echo(f"note: {note}")
    request.out.mkdir(parents=True, exist_ok=True)
    with only_one(request.out / MARK, f"another leaderboard is running in {request.out}; wait for it, or end it"):
        typer.echo(f"score {counted(division.store)}, in {quantity(len(division.folds), 'fold')}")
        deadline = Deadline(request.minutes, config.checkpoint_steps)
        try:
            _train(wanted, request.out, where, deadline)
            rows = list(_rows(entrants, wanted, division, request.out, scoring, where))
            scored = _score(rows, division, scoring, request, deadline)
        except TimeOverError:
            done = sum((request.out / training.folder / PASSPORT).exists() for training in wanted)
            typer.echo(
                f"the minutes are over: {done} of {quantity(len(wanted), 'training')} done; give the command again"
            )
            return
        took = draw_seconds(rows, division.store, scoring)
        table = assemble(scored, took, division.store, scoring, title=request.title)
        write_table(request.json_file, table)
    typer.echo(as_markdown(table, [name for name in SHOWN if name in table["definitions"]]))
    typer.echo(f"the table is in {request.json_file}")


def _entrants(request: Request) -> list[Entrant]:
    require_choice("--networks", request.networks, tuple(ENTRANTS))
    known = ENTRANTS[request.networks]
    for name in request.only:
        require_choice("--only", name, [entrant.contender.name for entrant in known])
    return [entrant for entrant in known if not request.only or entrant.contender.name in request.only]


def _division(request: Request, root: Path | None, limit: int | None, crop_px: int) -> Division:
    """What is learned from, whole, and scored, the middle where windows are learned from.

    Raises:
        ConfigError: not one of a split and folds was asked for.
    """
    both = bool(request.split) != bool(request.folds)
    require(both, "wanted either --split, to score, or --folds, of all patients", ConfigError)
    names = ("train", request.split or "validate")
    require(names[1] != "train", "--split is 'train', which is learned from; wanted a split to score", ConfigError)
    stores = [catalog.load(request.data, name, root=root, limit=limit) for name in names]
    for store in stores:
        require(store.labeled, f"{store.card.name}/{store.split} has no masks", DataError)
    division = by_patient(stores, request.folds) if request.folds else by_split(*stores)
    return division._replace(store=middle(division.store, crop_px))


def _train(wanted: Sequence[Training], out: Path, device: torch.device, deadline: Deadline) -> None:
    for number, training in enumerate(wanted, start=1):
        done = (out / training.folder / PASSPORT).exists()
        typer.echo(f"{training.name} ({number} of {quantity(len(wanted), 'training')}){', finished already' * done}")
        train_once(training, out, device, callbacks=[ProgressBar(), deadline])
        if not done:
            deadline.check()


def _rows(
    entrants: Sequence[Entrant],
    wanted: Sequence[Training],
    division: Division,
    out: Path,
    scoring: Scoring,
    device: torch.device,
) -> Iterator[Row]:
    yield from reference_rows(division, scoring, wanted[0].fit.crop_px)
    for entrant in entrants:
        yield from entrant_rows(entrant, wanted, division, out, scoring, device)


def _score(
    rows: Sequence[Row], division: Division, scoring: Scoring, request: Request, deadline: Deadline
) -> list[dict[str, Any]]:
    """The scores of each row, from the file that holds them already or anew."""
    folder, scored = request.out / SCORES, []
    for row in rows:
        path = folder / f"{hyphened(row.name)}-{scoring.samples}.json"
        told = _scores_in(path, row)
        if told is None:
            typer.echo(f"score {row.name}, {quantity(scoring.samples, 'sample')} a case")
            told = score_row(row, division.store, scoring)
            write_json(path, told)
            deadline.check()
        scored.append(told)
    return scored


def _scores_in(path: Path, row: Row) -> dict[str, Any] | None:
    """A row's scores, kept from before; None where there are none of this very row."""
    if not path.exists():
        return None
    told = read_json(path)
    require(isinstance(told, dict) and "values" in told, f"{path} holds no scores; remove it to score again", DataError)
    check_passport(told.get("passport"), str(path))
    same = {
        name: dict(row.passport)[name] == told["passport"][name]
        for name in ("config", "data", "weights_sha256", "definitions")
    }
    return told if all(same.values()) else None
