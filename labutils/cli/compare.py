"""``labutils compare``: train every model that suits a dataset, several seeds each, and score them all in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from labutils.cli.notes import rater_notes, truth_notes
from labutils.cli.runs import require_own_folder, require_writable
from labutils.cli.stores import counted
from labutils.core.checks import ConfigError, require, require_choice
from labutils.core.config import from_dict
from labutils.core.files import only_one, write_json
from labutils.core.runtime import pick_device
from labutils.core.words import quantity
from labutils.data import catalog
from labutils.data.crop import middle
from labutils.data.splits import assert_disjoint
from labutils.data.store import Store
from labutils.evaluation.compare import SCORES, Plan, describe_training, make_comparison, run_one
from labutils.evaluation.compared import PLANTED, nats_found, planted_found, spread_found
from labutils.evaluation.contenders import ROWS, Contender
from labutils.evaluation.scores import METRICS
from labutils.models.confusion import ConfusionConfig
from labutils.training.callbacks import ProgressBar
from labutils.training.checkpoint import RUN, same_run
from labutils.training.settings import FitConfig

TABLES = ("model", "fit")
LOCK = ".compare.lock"
_NO_EPOCH = "every contender trains to the last epoch"
GIVEN = {"seed": "--seeds says how many", "keep": _NO_EPOCH, "patience": _NO_EPOCH, "goal": _NO_EPOCH}  # of fit.*


def compare(
    data: str,
    split: str,
    out: Path,
    json_file: Path,
    *,
    root: Path | None,
    rows: str,
    only: Sequence[str],
    seeds: int,
    samples: int,
    settings: Mapping[str, Any],
    device: str | None,
    limit: int | None,
) -> None:
    """Train and score what is missing in `out`, then write the table; a killed comparison goes on.

    Everything is checked before anything is written.
    """
    where, config = pick_device(device), fit_config(settings["fit"], GIVEN, "a comparison")
    require(not json_file.is_dir(), f"--json {json_file} is a folder; wanted a file", ConfigError)
    require_writable(json_file.parent, "folder of --json")
    require_own_folder(out, "folder of trainings", LOCK)
    require_choice("--rows", rows, tuple(ROWS))
    for name in only:
        require_choice("--only", name, [contender.name for contender in ROWS[rows]])
    require(split != "train", "--split is 'train', which is learned from; wanted a split to score", ConfigError)
    train, test = (catalog.load(data, name, root=root, limit=limit) for name in ("train", split))
    assert_disjoint({"train": train, split: test})
    test = middle(test, config.crop_px)
    shared = settings["model"]
    plan = Plan(train=train, test=test, shared=shared, fit=config, seeds=range(seeds), samples=samples, device=where)
    chosen, left_out = chosen_contenders(ROWS[rows], only, train)
    require_shared(plan.shared, chosen, "the comparison")
    folders = {(c.name, seed): out / f"{c.folder}-{seed}" for seed in plan.seeds for c in chosen}
    for contender in chosen:
        for seed in plan.seeds:
            require_own_folder(folders[contender.name, seed], "run folder", RUN)
            same_run(folders[contender.name, seed], describe_training(plan, contender, seed))
    notes = list(_notes(plan, chosen, left_out))
    for note in notes:
        typer.echo(f"note: {note}")
    out.mkdir(parents=True, exist_ok=True)
    with only_one(out / LOCK, f"another comparison is running in {out}; wait for it, or end it"):
        typer.echo(f"learn from {counted(train)}; score {counted(test)}")
        _run(plan, chosen, folders)
        table = make_comparison(plan, chosen, folders) | {"left_out": left_out, "notes": notes}
        write_json(json_file, table)
    for line in lines(table):
        typer.echo(line)
    typer.echo(f"the table is in {json_file}")


def fit_config(settings: Mapping[str, Any], given: Mapping[str, str], where: str) -> FitConfig:
    """How all contenders train.

    Args:
        settings: those of fit.* that are asked for.
        given: why a setting is not free, by its name.
        where: what the contenders are put into, as in "a comparison".
    Raises:
        ConfigError: a setting is unknown, out of range, or not free.
    """
    for name, why in given.items():
        require(name not in settings, f"fit.{name} is not free in {where}: {why}", ConfigError)
    return from_dict(FitConfig, settings, "fit")


def _run(plan: Plan, chosen: Sequence[Contender], folders: Mapping[tuple[str, int], Path]) -> None:
    contender_of = {contender.name: contender for contender in chosen}
    for number, ((name, seed), folder) in enumerate(folders.items(), start=1):
        done = ", finished already" if (folder / SCORES).exists() else ""
        typer.echo(f"{name}, seed {seed} ({number} of {quantity(len(folders), 'training')}){done}")
        run_one(plan, contender_of[name], seed, folder, callbacks=[ProgressBar()])


def chosen_contenders(
    contenders: Sequence[Contender], only: Sequence[str], store: Store
) -> tuple[list[Contender], dict[str, str]]:
    """Those of some contenders that are named, or all that suit the data; and why each of the others does not.

    Raises:
        ConfigError: a contender was named that does not suit the data.
    """
    asked = [contender for contender in contenders if not only or contender.name in only]
    left_out = {contender.name: why for contender in asked if (why := contender.unsuited(store))}
    if only and left_out:
        name, why = next(iter(left_out.items()))
        raise ConfigError(f"--only {name!r} cannot learn from {store.card.name}: {why}")
    return [contender for contender in asked if contender.name not in left_out], left_out


def require_shared(shared: Mapping[str, Any], chosen: Sequence[Contender], where: str) -> None:
    """Refuse a setting for all contenders that none of them has, or that is what a row stands for.

    Args:
        shared: settings of model.* that are asked for.
        chosen: the contenders.
        where: what they are put into, as in "the comparison".
    Raises:
        ConfigError: as said.
    """
    known = {name for contender in chosen for name in contender.knows(shared)}
    for name in shared:
        require(name in known, f"no model of {where} has a setting {name!r}", ConfigError)
        own = next((contender.name for contender in chosen if name in contender.settings), "")
        require(not own, f"model.{name} is what the row {own!r} stands for; wanted another setting", ConfigError)


def _notes(plan: Plan, chosen: Sequence[Contender], left_out: Mapping[str, str]) -> Iterator[str]:
    for name, why in left_out.items():
        yield f"{name} is left out: {why}"
    yield from filter(None, (contender.own_fit for contender in chosen))
    yield from rater_notes(plan.train)
    configs = [contender.config(plan.shared, plan.train) for contender in chosen]
    for config in [config for config in configs if isinstance(config, ConfusionConfig)][:1]:
        yield from truth_notes(config, plan.train)


def lines(table: Mapping[str, Any]) -> list[str]:
    """The table for a person: median, worst and every seed, image only first, then with the raters' masks."""
    label = METRICS[table["score"]["name"]].label
    told = [f"{label}, image only: median, worst, every seed"]
    for row in table["image_only"]:
        means = " ".join(f"{seed['score']['mean']:.3f}" for seed in row["seeds"])
        lost = sum(seed.get("settled_on") is not None for seed in row["seeds"])
        note = f"  nearer to a rater than to the truth: {lost}" if lost else ""
        told.append(f"  {row['name']:34} {row['median']:.3f} {row['worst']:.3f}  {means}{note}")
    if own := table.get("raters_among_themselves"):
        told.append(f"  {'a rater with the others':34} {_with_bounds(own)}")
    told += [*_spread_lines(table), *_nats_lines(table), *_planted_lines(table)]
    if table["with_masks"]:
        told.append(f"{label}, with the raters' masks of the test case")
    for row in table["with_masks"]:
        prior = f"  prior: {row['prior']}" if row["prior"] else ""
        told.append(f"  {row['name']:34} {_with_bounds(row['score'])}{prior}")
    return told


def _with_bounds(score: Mapping[str, Any]) -> str:
    bounds = "" if score["low"] is None else f" [{score['low']:.3f}, {score['high']:.3f}]"
    return f"{score['mean']:.3f}{bounds}"


def _spread_lines(table: Mapping[str, Any]) -> Iterator[str]:
    """How like the raters the answers are that a contender draws, where it draws any."""
    for metric in (name for name in METRICS if name != "diversity"):
        found = spread_found(table, metric)
        if found:
            yield f"{METRICS[metric].label}, of {table['samples']} answers drawn: every seed"
        for name, seeds in found.items():
            yield f"  {name:34} {seeds}"


def _nats_lines(table: Mapping[str, Any]) -> Iterator[str]:
    """Whether the latent vector of a contender says anything, where it has one."""
    if found := nats_found(table):
        yield "nats that a mask says to the latent vector: every seed"
    for name, seeds in found.items():
        yield f"  {name:34} {' '.join(f'{nats:.2f}' for nats in seeds)}"


def _planted_lines(table: Mapping[str, Any]) -> Iterator[str]:
    """How much of what was planted each contender found, where something was."""
    for what, label in PLANTED.items():
        found = planted_found(table, what)
        if found:
            yield f"{label}: every seed"
        for name, seeds in found.items():
            yield f"  {name:34} {seeds}"
