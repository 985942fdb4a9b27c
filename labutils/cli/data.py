"""``labutils data``: which datasets there are, what is known of each, and whether the files here are good."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path

import typer

from labutils.cli.doctor import data_line, dataset_state
from labutils.cli.errors import REFUSED
from labutils.data import catalog
from labutils.data.cards import Card, Download
from labutils.data.verify import verify as verified

# An address or a sum stays in one piece, to be copied.
_PARAGRAPH = textwrap.TextWrapper(100, subsequent_indent=" " * 13, break_long_words=False, break_on_hyphens=False)


def list_datasets() -> None:
    """One line a dataset: its name, what it is, and whether it is at hand."""
    for name in catalog.names():
        state = "at hand" if dataset_state(name)["found"] else "not found"
        typer.echo(f"{name:<20}{state:<11}{catalog.card(name).title}")
    typer.echo("labutils data show NAME says more of one")


def show(name: str, *, as_json: bool) -> None:
    """The card of a dataset, and where its files are."""
    card = catalog.card(name)
    if as_json:
        typer.echo(json.dumps(asdict(card), indent=1, sort_keys=True))
        return
    for head, text in [*_facts(card), ("here", data_line(dataset_state(name)))]:
        typer.echo(_PARAGRAPH.fill(f"{head:<13}{text}"))


def verify(name: str, *, root: Path | None) -> None:
    """What a dataset holds, read afresh; exit code 2 where a split has a fault."""
    splits = verified(name, root)
    for split, facts, fault in splits:
        typer.echo(f"{split:<13}{facts or 'cannot be read'}")
        if fault:
            typer.echo(f"{split:<13}{' '.join(fault.split())}", err=True)
    if any(fault for _, _, fault in splits):
        raise typer.Exit(REFUSED)


def make_twin(name: str, out: Path, *, cases: int | None, seed: int, form: str | None) -> None:
    """Write the twin of a dataset, and say how to use it."""
    from labutils.data import twins

    counts = twins.make_twin(name, out, cases=cases, seed=seed, form=form)
    parts = ", ".join(f"{part} {number}" for part, number in counts.items())
    typer.echo(f"wrote {out}: a twin of {name}, not the public files; {parts}")
    if name not in catalog.names():
        typer.echo(f"use it with labutils data prepare-lidc {out} FOLDER")
    elif catalog.available(name, out):  # masks without an image cannot be loaded
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
        ("license", card.licence),
        ("citation", card.citation),
        ("homepage", card.homepage),
        ("how to get", card.how_to_get),
        *(("quirk", quirk) for quirk in card.quirks),
        *(("SHA-256", f"{manifest} of {split}") for split, manifest in card.manifests),
        *(("download", _download(download)) for download in card.downloads),
    ]
    return [(head, text) for head, text in facts if text]


def _download(download: Download) -> str:
    known = f"with SHA-256 {download.sha256}" if download.sha256 else "whose SHA-256 is not known, so add --trust"
    taken = f"(its folder {download.below.removeprefix('*/')}) " if download.below else ""
    return f"{download.to} from {' or '.join(download.urls)} {taken}{known}"
