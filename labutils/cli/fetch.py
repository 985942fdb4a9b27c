"""``labutils data fetch``: a dataset from the network to where the other commands look for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import typer
from tqdm import tqdm

from labutils.cli.data import verify
from labutils.data import catalog
from labutils.data.fetch import fetch


def fetch_dataset(name: str, *, to: Path | None, trust: bool, accept_licence: bool) -> None:
    """Fetch what the card names, say where it is, and verify it; exit code 2 where it is not what was published."""
    card = catalog.card(name)
    with contextlib.ExitStack() as bars:
        made = fetch(card, to, trust=trust, accept_licence=accept_licence, progress=_bars(bars))
    for one in made:
        typer.echo(f"fetched {one.path}" if one.new else f"{one.path} is there already and was left as it is")
        if one.record is not None:
            typer.echo(f"its SHA-256 is kept in {one.record} and required from now on")
    if to is not None:
        typer.echo(f"labutils finds it with --root {to} or LABUTILS_DATA={to}")
    typer.echo(f"license: {card.licence}")
    verify(name, root=to)


def _bars(bars: contextlib.ExitStack) -> Callable[[str, int, int | None], None]:
    """One bar for each file, on the error stream where that is a screen."""
    there: dict[str, tqdm] = {}

    def tell(name: str, done: int, total: int | None) -> None:
        if name not in there:
            there[name] = bars.enter_context(tqdm(desc=name, unit="B", unit_scale=True, disable=None))
        there[name].total = total
        there[name].update(done - there[name].n)

    return tell
