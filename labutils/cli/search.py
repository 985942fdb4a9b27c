"""``labutils search``: the U-Net's learning rate and width, searched in a study folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from labutils.cli.runs import require_own_folder
from labutils.cli.stores import counted, training_stores
from labutils.cli.train import cost
from labutils.core.checks import ConfigError, require
from labutils.core.config import from_dict, to_dict
from labutils.core.runtime import pick_device, rng_for
from labutils.core.words import quantity
from labutils.models.registry import build
from labutils.search.redact import redacted
from labutils.search.space import SearchConfig
from labutils.search.study import BEST, MODEL, STUDY, Study
from labutils.search.tracking import Tracker
from labutils.training.settings import FitConfig
from labutils.training.suit import model_config
from labutils.training.validation import require_goal

TABLES = ("model", "fit", "search")


def search(
    data: str,
    out: Path,
    trials: int,
    *,
    root: Path | None,
    settings: Mapping[str, Any],
    tracking: str | None,
    device: str | None,
    limit: int | None,
) -> None:
    """Bring the study in `out` to `trials` trials; everything is checked before anything is written."""
    where, config = pick_device(device), from_dict(FitConfig, settings["fit"], "fit")
    plan = from_dict(SearchConfig, settings["search"], "search")
    for table, name, there in (("model", "width", "widths"), ("fit", "lr", "lr")):
        searched = f"{table}.{name} is what is searched; wanted its range in search.space.{there}"
        require(name not in settings[table], searched, ConfigError)
    require_own_folder(out, "study folder", STUDY)
    stores = training_stores(data, root, limit)
    model = model_config(MODEL, settings["model"], stores.train)
    widest = replace(model, width=max(plan.space.widths))
    network = build(MODEL, widest, rng_for(config.seed, "weights"))
    require_goal(network, stores.validate, config, where)
    typer.echo(f"learn from {counted(stores.train)}; compare on {counted(stores.validate)}")
    typer.echo(f"a trial of the largest width: {cost(network, stores, config, where)}")
    tracker = Tracker(out.absolute().parent, tracking)
    study = Study(
        out,
        train=stores.train,
        validate=stores.validate,
        model=to_dict(model),
        config=config,
        search=plan,
        tracker=tracker,
        device=where,
    )
    result = study.run(trials, on_trial=_tell)
    typer.echo(f"{quantity(len(result.trials), 'trial')} in {redacted(tracker.uri)}")
    if result.value is None:
        typer.echo("no trial is complete, so there are no best settings")
    else:
        typer.echo(f"best {config.goal.metric} {result.value:.4f}; its settings are in {out / BEST}")


def _tell(row: Mapping[str, Any]) -> None:
    params = ", ".join(f"{name} {value:.3g}" for name, value in row["params"].items())
    value = "" if row["value"] is None else f", value {row['value']:.4f}"
    why = f" ({row['error']})" if row["error"] else ""
    typer.echo(f"trial {row['trial']}: {row['state']} with {params}{value}{why}")
