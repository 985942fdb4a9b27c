"""Parts of pages that are worked out when the book is built, so that nobody types them and they cannot grow old.

``{commands}`` the command line, ``{data-table}`` and ``{data-cards}`` the datasets, ``{model-cards}`` the networks that
come with the package, ``{citation}`` the BibTeX entry of CITATION.cff. Headings go straight to the page, so what a
directive gives begins with one or has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def plain(text: str) -> str:
    """Text as Markdown that shows exactly that text; options are code, where two hyphens stay two."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", text)
    return re.sub(r"(?<!\S)--[a-z-]+", r"`\g<0>`", escaped)


def definitions(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A Markdown list of terms, each with its definition; both are Markdown."""
    for term, text in pairs:
        yield from (term, f": {text}", "")


def fenced(kind: str, text: str) -> list[str]:
    """A block of code in Markdown."""
    return [f"```{kind}", text, "```", ""]


def command_lines(command: Any, path: str) -> Iterator[str]:
    """The reference of one command or group of commands, and of all below it.

    Args:
        command: of Typer, as `typer.main.get_command` gives it.
        path: what is typed to reach it, e.g. ``"labutils data"``.
    """
    context = command.context_class(command, info_name=path)
    below = getattr(command, "commands", {})
    if not below:
        yield from (f"({path.replace(' ', '-')})=", f"## `{path}`", "")
        yield from (plain(command.help), "")
        yield from fenced("text", " ".join([path, *command.collect_usage_pieces(context)]))
        records = (parameter.get_help_record(context) for parameter in command.params)
        yield from definitions((f"`{name}`", plain(text)) for name, text in filter(None, records))
    for name, each in below.items():
        yield from command_lines(each, f"{path} {name}")


def commands() -> Iterator[str]:
    """The whole command line."""
    import typer

    from labutils.cli.main import app

    yield from command_lines(typer.main.get_command(app), "labutils")


def card_lines(card: Any) -> Iterator[str]:
    """One dataset, from its card."""
    yield from (f"(data-{card.name})=", f"## {plain(card.title)}", "", plain(card.what), "")
    same = "{term}`identified raters`" if card.identified else "{term}`exchangeable raters`"
    facts = {
        "name": f"`{card.name}`",
        "raters": f"{plain(card.raters)} ({same})",
        "image": plain(card.image),
        "classes": f"{card.classes}, the background included",
        "spacing": "known, in mm" if card.spacing_known else "not known; lengths count pixels",
        "splits": ", ".join(f"`{split}`" for split in card.splits),
        "license": plain(card.licence),
        "cite": plain(card.citation),
        "how to get it": plain(card.how_to_get),
        "home page": f"<{card.homepage}>" if card.homepage else "",
    }
    yield from definitions((term, text) for term, text in facts.items() if text)
    if card.quirks:
        yield from ("To know before use:", "", *(f"- {plain(quirk)}" for quirk in card.quirks), "")


def cards() -> list[Any]:
    """The cards of the catalog."""
    from labutils.data import catalog

    return [catalog.card(name) for name in catalog.names()]


def data_table() -> Iterator[str]:
    """One line a dataset: its name, whether its raters are known persons, its license."""
    yield from ("| dataset | raters | license |", "|---|---|---|")
    for card in cards():
        kind = "identified" if card.identified else "exchangeable"
        yield f"| [{card.name}](#data-{card.name}) | {kind} | {plain(card.licence)} |"


def data_cards() -> Iterator[str]:
    """Every dataset of the catalog under a heading."""
    for card in cards():
        yield from card_lines(card)


def model_cards() -> Iterator[str]:
    """Every network that comes with the package under a heading."""
    from labutils.training.trained import load_trained, shipped

    for name in shipped():
        network = load_trained(name)
        about, passport = network.card["about"], network.card["passport"]
        yield from (f"(model-{name})=", f"## {plain(about['title'])}", "")
        learned = [part["manifest"][:12] for part in passport["data"]]
        facts = {
            "name": f"`{name}`",
            "model": f"`{network.card['model']}`, {sum(one.numel() for one in network.parameters()):,} parameters",
            "learned from": plain(about["learned_from"]),
            "answers": plain(about["answers"]),
            "limits": plain(about["limits"]),
            "license": plain(about["licence"]),
            "passport": f"commit `{passport['code']['commit'][:12]}`, weights `{passport['weights_sha256'][:12]}`, "
            f"data `{'`, `'.join(learned)}`, {passport['device']}",
        }
        yield from definitions(facts.items())


def person(author: dict[str, str]) -> str:
    """An author of CITATION.cff as BibTeX wants it; a group is kept in one piece."""
    return f"{{{author['name']}}}" if "name" in author else f"{author['family-names']}, {author['given-names']}"


def bibtex(cff: dict[str, Any]) -> str:
    """The BibTeX entry of a CITATION.cff; with a year once there is a date of release."""
    fields = {
        "title": f"{{{cff['title']}}}",
        "author": " and ".join(map(person, cff["authors"])),
        "year": str(cff.get("date-released", ""))[:4],
        "version": cff["version"],
        "doi": cff.get("doi", ""),
        "url": cff.get("url", ""),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join(["@software{labutils,", *lines, "}"])


def citation(root: Path) -> Iterator[str]:
    """What CITATION.cff asks for, and its BibTeX entry."""
    cff = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    yield from (plain(cff["message"]), "", *fenced("bibtex", bibtex(cff)))


class Generated(SphinxDirective):
    """A directive without content, replaced by Markdown that a function gives."""

    makers: ClassVar[dict[str, Any]] = {
        "commands": commands,
        "data-table": data_table,
        "data-cards": data_cards,
        "model-cards": model_cards,
    }

    def run(self) -> list[nodes.Node]:
        """The nodes of that Markdown."""
        root = Path(self.env.srcdir)
        lines = citation(root) if self.name == "citation" else self.makers[self.name]()
        self.env.note_dependency(str(root / "CITATION.cff"))
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    for name in (*Generated.makers, "citation"):
        app.add_directive(name, Generated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
