"""``labutils data verify FOLDER``: everything that is wrong with a person's own folder, at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from labutils.cli.errors import REFUSED
from labutils.core.words import quantity
from labutils.data.own_faults import survey


def verify(folder: Path, *, as_json: bool) -> None:
    """Print faults, notes and counts; exit code 2 where there is a fault."""
    found = survey(folder)
    if as_json:
        faults = [fault._asdict() for fault in found.faults]
        typer.echo(json.dumps({"faults": faults, "notes": found.notes, "summary": found.summary}, indent=1))
    else:
        for line in [*map(str, found.faults), *(f"note: {note}" for note in found.notes), *_lines(found.summary)]:
            typer.echo(line)
        count = len(found.faults)
        typer.echo(quantity(count, "fault") if count else "no fault: the folder can be used")
    if found.faults:
        raise typer.Exit(REFUSED)


def _lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """The counts, aligned."""
    images = f" from {quantity(summary['images'], 'image')}" if summary["cases"] != summary["images"] else ""
    rows = [("dataset", summary["name"]), ("cases", f"{summary['cases']}{images}")]
    rows += [(split, _counted(counts)) for split, counts in summary["splits"].items()]
    rows += [(f"rater {rater}", quantity(count, "image")) for rater, count in summary["images_by_rater"].items()]
    rows += [
        (quantity(int(n), "rater"), quantity(count, "image"))
        for n, count in summary["images_by_number_of_raters"].items()
    ]
    rows += [(f"{size} px", quantity(count, "case")) for size, count in summary["cases_by_size"].items()]
    width = max(len(head) for head, _ in rows) + 2
    return (f"{head:<{width}}{text}" for head, text in rows)


def _counted(counts: Mapping[str, int]) -> str:
    return f"{quantity(counts['cases'], 'case')} of {quantity(counts['patients'], 'patient')}"
