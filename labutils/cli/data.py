"""``labutils data``: which datasets there are, and what is known of each."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path

import typer

from labutils.cli.doctor import data_line, dataset_state
from labutils.data import catalog
from labutils.data.cards import Card

WIDTH = 100  # of a line


def list_datasets() -> None:
    """One line a dataset: its name, what it is, and whether it is at hand."""
    for name in catalog.names():
        state = "at hand" if dataset_state(name)["found"] else "not found"
        typer.echo(f"{name:<18}{state:<11}{catalog.card(name).title}")
    typer.echo("labutils data show NAME says more of one")


def show(name: str, *, as_json: bool) -> None:
    """The card of a dataset, and where its files are."""
    card = catalog.card(name)
    if as_json:
        typer.echo(json.dumps(asdict(card), indent=1, sort_keys=True))
        return
    for head, text in [*_facts(card), ("here", data_line(dataset_state(name)))]:
        typer.echo(textwrap.fill(text, WIDTH, initial_indent=f"{head:<13}", subsequent_indent=" " * 13))


def make_twin(name: str, out: Path, *, cases: int | None, seed: int, form: str | None) -> None:
    """Write the twin of a dataset, and say how to use it."""
    from labutils.data import twins

    counts = twins.make_twin(name, out, cases=cases, seed=seed, form=form)
    parts = ", ".join(f"{part} {number}" for part, number in counts.items())
    typer.echo(f"wrote {out}: a twin of {name}, not the public files; {parts}")
    typer.echo(f"use it with --data {name} --root {out}")


def convert_pickle(path: Path, out: Path, *, timeout_s: float) -> None:
    """Turn the published pickle of LIDC crops into plain files, and say what came of it."""
    from labutils.data.lidc_pickle import PUBLISHED, convert_pickle

    typer.echo(
        f"opening {path}, a pickle: such a file can hold code, so a separate process without rights reads it, "
        "and only this command ever does"
    )
    done = convert_pickle(path, out, timeout_s=timeout_s)
    crops = f"all {PUBLISHED} crops" if done.complete else f"{done.crops} of the {PUBLISHED} published crops"
    splits = ", ".join(f"{split} {number}" for split, number in done.splits.items())
    typer.echo(f"wrote {out}: {crops}, {done.series} series of {done.patients} patients; {splits}")
    typer.echo(f"use it with --data lidc-four --root {out}")


def _facts(card: Card) -> list[tuple[str, str]]:
    raters = "rater k is the same in every case" if card.identified else "raters are exchangeable between cases"
    facts = [
        ("name", card.name),
        ("title", card.title),
        ("what", card.what),
        ("raters", f"{card.raters}; {raters}"),
        ("image", card.image),
        ("classes", f"{card.classes}, the background included"),
        ("spacing", "in mm" if card.spacing_known else "not known; lengths are in pixels"),
        ("splits", ", ".join(card.splits)),
        ("licence", card.licence),
        ("citation", card.citation),
        ("homepage", card.homepage),
        ("how to get", card.how_to_get),
        *(("quirk", quirk) for quirk in card.quirks),
        *(("SHA-256", f"{manifest} of {split}") for split, manifest in card.manifests),
    ]
    return [(head, text) for head, text in facts if text]
