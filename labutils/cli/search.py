"""``labutils search``: settings of a model and of its training, searched in a study folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from labutils.cli.runs import require_own_folder
from labutils.cli.stores import counted, training_stores
from labutils.cli.train import cost
from labutils.core.checks import require_choice
from labutils.core.config import from_dict
from labutils.core.files import atomic_write
from labutils.core.runtime import pick_device
from labutils.core.words import quantity
from labutils.models.registry import MODELS
from labutils.search.drawing import draw_trials, goal_words
from labutils.search.plan import Plan
from labutils.search.redact import redacted
from labutils.search.space import SearchConfig, require_free
from labutils.search.study import BEST, STUDY, Study
from labutils.search.tracking import Tracker
from labutils.training.suit import fit_config

TABLES = ("model", "fit", "search")
FIGURE = "trials.svg"


def search(
    model: str,
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
    require_choice("model", model, tuple(MODELS))
    where, config = pick_device(device), fit_config(model, settings["fit"])
    asked = from_dict(SearchConfig, settings["search"], "search")
    require_own_folder(out, "study folder", STUDY)
    stores = training_stores(data, root, limit, config.crop_px)
    plan = Plan(
        train=stores.train,
        validate=stores.validate,
        model=model,
        settings=settings["model"],
        config=config,
        search=asked,
        device=where,
    )
    require_free(plan.search.space, settings)
    typer.echo(
        f"learn from {counted(stores.train)}; compare on {counted(stores.validate)} by {goal_words(config.goal)}"
    )
    typer.echo(f"search {', '.join(name for name, _ in plan.search.space)} of {model}")
    typer.echo(f"a trial of the largest network: {cost(plan.largest(), stores, config, where)}")
    tracker = Tracker(out.absolute().parent, tracking)
    result = Study(out, plan, tracker).run(trials, on_trial=_tell)
    with atomic_write(out / FIGURE) as stream:
        draw_trials(result, config.goal).savefig(stream, format="svg")
    typer.echo(f"{quantity(len(result.trials), 'trial')} in {redacted(tracker.uri)}; drawn in {out / FIGURE}")
    if result.value is None:
        typer.echo("no trial is complete, so there are no best settings")
    else:
        typer.echo(f"best {config.goal.metric} {result.value:.4f}; its settings are in {out / BEST}")


def _tell(row: Mapping[str, Any]) -> None:
    params = ", ".join(f"{name} {_short(value)}" for name, value in row["params"].items())
    value = "" if row["value"] is None else f", value {row['value']:.4f}"
    why = f" ({row['error']})" if row["error"] else ""
    typer.echo(f"trial {row['trial']}: {row['state']} with {params}{value}{why}")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
