"""``labutils compare``: train every model that suits a dataset, several seeds each, and score them all in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from labutils.core.checks import ConfigError, require, require_choice
from labutils.core.config import from_dict
from labutils.core.files import only_one, write_json
from labutils.core.runtime import pick_device
from labutils.core.words import quantity
from labutils.data import catalog
from labutils.data.splits import assert_disjoint
from labutils.evaluation.compare import CONTENDERS, Contender, Plan, make_comparison, run_one
from labutils.training.callbacks import ProgressBar
from labutils.training.settings import FitConfig

TABLES = ("model", "fit")


def compare(
    data: str,
    split: str,
    out: Path,
    json_file: Path,
    *,
    root: Path | None,
    only: Sequence[str],
    seeds: int,
    settings: dict[str, Any],
    device: str | None,
    limit: int | None,
) -> None:
    """Train and score what is missing in `out`, then write the table; a killed comparison goes on."""
    where = pick_device(device)
    train, test = (catalog.load(data, name, root=root, limit=limit) for name in ("train", split))
    assert_disjoint({"train": train, split: test})
    plan = Plan(
        train=train,
        test=test,
        shared=settings["model"],
        fit=from_dict(FitConfig, settings["fit"], "fit"),
        seeds=range(seeds),
        device=where,
    )
    chosen = chosen_contenders(only, plan)
    known = {name for contender in chosen for name in contender.knows(plan.shared)}
    for name in plan.shared:
        require(name in known, f"no model of the comparison has a setting {name!r}", ConfigError)
    require(not json_file.is_dir(), f"--json {json_file} is a folder; wanted a file", ConfigError)
    out.mkdir(parents=True, exist_ok=True)
    folders = {(c.name, seed): out / f"{_file_name(c.name)}-{seed}" for seed in plan.seeds for c in chosen}
    with only_one(out / ".compare.lock", f"another comparison is running in {out}; wait for it, or end it"):
        for number, ((name, seed), folder) in enumerate(folders.items()):
            typer.echo(f"{name}, seed {seed} ({number + 1} of {quantity(len(folders), 'training')})")
            contender = next(c for c in chosen if c.name == name)
            run_one(plan, contender, seed, folder, callbacks=[ProgressBar()])
        table = make_comparison(plan, chosen, folders)
        write_json(json_file, table)
    for line in lines(table):
        typer.echo(line)
    typer.echo(f"the table is in {json_file}")


def chosen_contenders(only: Sequence[str], plan: Plan) -> list[Contender]:
    """The contenders asked for, or all that suit the data.

    Raises:
        ConfigError: an unknown name.
    """
    for name in only:
        require_choice("--only", name, [c.name for c in CONTENDERS])
    return [c for c in CONTENDERS if (c.name in only if only else c.suits(plan.train))]


def _file_name(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def lines(table: dict[str, Any]) -> list[str]:
    """The table for a person: Dice of every seed, image only first, then with the raters' masks."""
    told = [f"{table['score']['name']}, image only: median, worst, every seed"]
    for row in table["image_only"]:
        means = " ".join(f"{seed['score']['mean']:.3f}" for seed in row["seeds"])
        lost = sum(seed.get("settled_on") is not None for seed in row["seeds"])
        note = f"  settled on a rater: {lost}" if lost else ""
        told.append(f"  {row['name']:34} {row['median']:.3f} {row['worst']:.3f}  {means}{note}")
    if table["with_masks"]:
        told.append("with the raters' masks of the test case")
    for row in table["with_masks"]:
        interval = row["score"]
        told.append(f"  {row['name']:34} {interval['mean']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]")
    return told
