"""Tables: many rows scored on the same cases with the same samples and seeds, kept as one JSON with its passports."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

import labutils
from labutils.core.checks import DataError, require
from labutils.core.files import plain, read_json, write_json
from labutils.core.runtime import numpy_rng_for, rng_for
from labutils.data.store import Store
from labutils.evaluation.bootstrap import Interval, bootstrap_mean, paired_difference
from labutils.evaluation.draws import Draw
from labutils.evaluation.evaluate import as_json, evaluate_parts, leave_one_rater_out
from labutils.evaluation.passport import check_passport, describe_store
from labutils.evaluation.scores import METRICS, metrics_for

KEPT = ("dice", "iou", "ged2_v", "ged2_u", "hungarian_iou")  # metrics whose scores by case a table keeps
NO_BREAK = "\N{NO-BREAK SPACE}"  # an interval stays on one line of a narrow page
DIGITS = 6  # after the point, of every number kept
TURNS = 8  # in which draws are timed


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row to be scored."""

    name: str
    kind: Literal["model", "reference", "oracle"]  # an oracle looks at the raters' masks
    draw: Draw | Sequence[Draw]  # several: one for each part of the cases
    passport: Mapping[str, Any]
    parameters: int | None = None  # weights of the model


class Scoring(NamedTuple):
    """How the rows of a table are scored, all alike."""

    samples: int  # S
    seed: int = 0
    resamples: int = 2000
    metrics: Sequence[str] | None = None  # None: all that the cases allow
    parts: Sequence[Sequence[int]] | None = None  # rows of the store that have a draw of their own; None: one part


def score_row(row: Row, store: Store, scoring: Scoring) -> dict[str, Any]:
    """One row's scores on every case, as plain values: its summary and, under "values", those that a table keeps.

    Raises:
        InputError: as `labutils.evaluation.evaluate.evaluate_parts`.
    """
    start = time.process_time()
    evaluation = evaluate_parts(
        [row.draw] if callable(row.draw) else row.draw,
        store,
        scoring.parts or [range(len(store))],
        samples=scoring.samples,
        seed=scoring.seed,
        resamples=scoring.resamples,
        metrics=scoring.metrics,
    )
    told = as_json(evaluation)
    return {
        "name": row.name,
        "kind": row.kind,
        "summary": told["summary"],
        "parameters": row.parameters,
        "cpu_s": time.process_time() - start,
        "passport": dict(row.passport),
        "values": {metric: [case[metric] for case in told["rows"]] for metric in KEPT if metric in told["summary"]},
    }


def make_table(
    rows: Sequence[Row],
    store: Store,
    *,
    title: str,
    samples: int,
    seed: int = 0,
    resamples: int = 2000,
    metrics: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Score every row on every case of `store` and give the table as plain values.

    Raises:
        InputError: two rows have one name, or as `score_row`.
    """
    _require_names([row.name for row in rows])
    scoring = Scoring(samples, seed, resamples, metrics)
    scored, took = [score_row(row, store, scoring) for row in rows], draw_seconds(rows, store, scoring)
    return assemble(scored, took, store, scoring, title=title)


def draw_seconds(rows: Sequence[Row], store: Store, scoring: Scoring) -> dict[str, float]:
    """Seconds in which each row draws its samples for the first case, by the row's name.

    All rows draw in turns, and the least of some turns counts: what else the machine does makes a turn longer, never
    shorter. The first turn, which wakes caches, is not counted.
    """
    batch, rng = store.batch([0]), rng_for(scoring.seed, "draw", "seconds")
    part = 0 if scoring.parts is None else next(k for k, rows_ in enumerate(scoring.parts) if 0 in rows_)
    draws = {row.name: row.draw if callable(row.draw) else row.draw[part] for row in rows}
    took: dict[str, list[float]] = {name: [] for name in draws}
    for _ in range(TURNS):
        for name, draw in draws.items():
            start = time.perf_counter()
            draw(batch, scoring.samples, rng)
            took[name].append(time.perf_counter() - start)
    return {name: min(seconds[1:]) for name, seconds in took.items()}


def assemble(
    scored: Sequence[Mapping[str, Any]], draw_s: Mapping[str, float], store: Store, scoring: Scoring, *, title: str
) -> dict[str, Any]:
    """The table of rows that `score_row` scored on the same cases in the same way, as plain values.

    Args:
        scored: what `score_row` gave for each row.
        draw_s: what `draw_seconds` gave for them.
        store: the cases.
        scoring: as for both.
        title: of the table.
    Raises:
        InputError: two rows have one name.
    """
    _require_names([row["name"] for row in scored])
    metrics = metrics_for(store) if scoring.metrics is None else scoring.metrics
    present = np.asarray(store.present)
    drew = (np.asarray(store.masks) > 0).any(axis=(2, 3)) & present
    table = {
        "title": title,
        "data": describe_store(store),
        "samples": scoring.samples,
        "seed": scoring.seed,
        "resamples": scoring.resamples,
        "definitions": {name: METRICS[name].definition for name in metrics},
        "raters_among_themselves": raters_among_themselves(store, seed=scoring.seed, resamples=scoring.resamples),
        "rows": [
            {key: value for key, value in row.items() if key != "values"} | {"draw_s": draw_s[row["name"]]}
            for row in scored
        ],
        "cases": list(store.cases),
        "patients": list(store.patients),
        "raters": present.sum(axis=1).tolist(),  # who judged each case
        "drew": drew.sum(axis=1).tolist(),  # and those of them who drew anything
        "values": {row["name"]: row["values"] for row in scored},
    }
    return plain(table, DIGITS)


def _require_names(names: Sequence[str]) -> None:
    require(len(set(names)) == len(names), f"two rows of the table have one name among {names}")


def raters_among_themselves(store: Store, *, seed: int, resamples: int) -> dict[str, Any]:
    """Dice of each rater with the consensus of the others: what agreement with the raters is worth on this data."""
    scores = leave_one_rater_out(store, classes=store.card.classes)
    rng = numpy_rng_for(seed, "raters among themselves")
    return asdict(bootstrap_mean(scores, store.patients, rng, resamples=resamples))


def write_table(path: str | Path, table: Mapping[str, Any]) -> None:
    """Write a table as JSON, whole or not at all."""
    write_json(path, table)


def read_table(path: str | Path) -> dict[str, Any]:
    """A table that `write_table` wrote, each row with a complete passport.

    Raises:
        DataError: the file is missing, damaged, or a row has no passport.
    """
    return read_rows(Path(path), "rows", {"values", "patients", "data"}, "table of scores")


def read_rows(path: Path, rows: str, others: set[str], what: str) -> dict[str, Any]:
    """A recorded result: a table with the field `rows`, each with a complete passport, and the fields `others`.

    Raises:
        DataError: the file is missing, damaged, no such `what`, or a row has no passport.
    """
    table = read_json(path)
    if not isinstance(table, dict) or not {rows, *others} <= set(table):
        raise DataError(f"{path} is not a {what}")
    for row in table[rows]:
        check_passport(row.get("passport"), f"{path}, row {row.get('name')!r}")
    return table


def recorded(name: str) -> dict[str, Any]:
    """A recorded table of the book: ``results/<name>.json`` beside the package.

    Raises:
        DataError: there is no such table (the results come with the repository, not with an installed package).
    """
    return read_table(recorded_file(name))


def recorded_file(name: str) -> Path:
    """Where a recorded table of the book lies: ``results/<name>.json`` beside the package."""
    return Path(labutils.__file__).resolve().parents[1] / "results" / f"{name}.json"


def interval_of(table: Mapping[str, Any], row: str, metric: str) -> Interval:
    """The mean and interval of one cell.

    Raises:
        DataError: the table has no such row or metric.
    """
    for entry in table["rows"]:
        if entry["name"] == row and metric in entry["summary"]:
            cell = entry["summary"][metric]
            parts: dict[str, Any] = {key: np.nan if value is None else value for key, value in cell.items()}
            return Interval(**parts)
    raise DataError(f"the table has no {metric!r} of {row!r}")


def difference(
    table: Mapping[str, Any], a: str, b: str, metric: str, *, groups: Sequence[str] | None = None, seed: int = 0
) -> Interval:
    """Mean of a - b over the same cases, with its interval, from the scores the table keeps.

    Args:
        table: a table.
        a: name of a row.
        b: name of the row that is subtracted.
        metric: one that the table keeps by case.
        groups: of each case; cases of one group are drawn together. None: its patient.
        seed: of the bootstrap.
    Raises:
        DataError: the table keeps no scores of that metric for one of the two rows.
    """
    rng = numpy_rng_for(seed, "difference", a, b, metric)
    first, second = _kept(table, a, metric), _kept(table, b, metric)
    owners = table["patients"] if groups is None else groups
    return paired_difference(first, second, owners, rng, resamples=table["resamples"])


def by_drew(table: Mapping[str, Any], row: str, metric: str, *, seed: int = 0) -> dict[tuple[int, int], Interval]:
    """Mean and interval of a row's scores where k of n raters drew anything, by (k, n); others of the n saw nothing.

    Raises:
        DataError: the table keeps no scores of that metric for the row, or does not say who drew.
    """
    if not {"drew", "raters"} <= set(table):
        raise DataError("the table does not say how many raters drew in each case; wanted one of this version")
    scores, patients = _kept(table, row, metric), np.asarray(table["patients"])
    kinds = np.stack([table["drew"], table["raters"]], axis=1)
    told = {}
    for drew, raters in np.unique(kinds, axis=0).tolist():
        these = (kinds == (drew, raters)).all(axis=1)
        rng = numpy_rng_for(seed, "drew", row, metric, drew, raters)
        told[drew, raters] = bootstrap_mean(scores[these], patients[these].tolist(), rng, resamples=table["resamples"])
    return told


def _kept(table: Mapping[str, Any], row: str, metric: str) -> np.ndarray:
    if metric not in table["values"].get(row, {}):
        raise DataError(f"the table keeps no {metric!r} by case for {row!r}")
    return np.array([np.nan if value is None else value for value in table["values"][row][metric]], np.float64)


def floor(table: Mapping[str, Any], *, seed: int = 0) -> Interval:
    """The GED² (V-statistic) that a perfect sampler averages on the table's cases, with as many samples as its rows.

    A perfect sampler draws from the population that the raters come from: with Δ, the mean distance of two different
    raters, it averages Δ (1/S + 1/R) on a case. Cases with one rater leave Δ open and are not counted.

    Raises:
        DataError: the table keeps no scores by case of a row called "blank".
    """
    v, u, matched = (_kept(table, "blank", metric) for metric in ("ged2_v", "ged2_u", "hungarian_iou"))
    # matched IoU is the share of raters who drew nothing: the others are at distance 1, so U = 2 (1 - matched) - Δ,
    # and an answer that never varies is charged for the raters alone: V - U = Δ / R
    scores = (2 * (1 - matched) - u) / table["samples"] + (v - u)
    return bootstrap_mean(scores, table["patients"], numpy_rng_for(seed, "floor"), resamples=table["resamples"])


def column(table: Mapping[str, Any], metric: str) -> str:
    """What a page calls a metric of the table, with an arrow at the better direction."""
    arrow = {"higher": " ↑", "lower": " ↓", "neither": ""}[table["definitions"][metric]["better"]]
    return METRICS[metric].label + arrow


def as_markdown(table: Mapping[str, Any], metrics: Sequence[str], digits: int = 3) -> str:
    """The table for a page: one line a row, mean and interval in each cell, headed as `column` says.

    A metric that no case defines, as the correlation of a map that is the same everywhere, is called undefined.
    """
    heads = [column(table, metric) for metric in metrics]
    lines = ["| row | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(metrics)]
    for entry in table["rows"]:
        cells = [interval_of(table, entry["name"], metric) for metric in metrics]
        texts = [as_text(cell, digits) for cell in cells]
        lines.append(f"| {entry['name']} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def as_text(found: Interval, digits: int = 3, sign: Literal["", "+"] = "") -> str:
    """A mean and its interval for a cell of a page, on one line; "+" gives positive numbers their sign, too."""
    if math.isnan(found.mean):
        return "undefined"
    mean, low, high = (f"{number:{sign}.{digits}f}" for number in (found.mean, found.low, found.high))
    return f"{mean} [{low},{NO_BREAK}{high}]"
