"""The built pages: their names, and what the HTML of one holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
SHARED = ("_static/", "_sphinx")  # folders of what many pages load
MADE_BY_SPHINX = ("genindex", "search")
WITHOUT_END = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def _files(entry: object) -> Iterator[str]:
    """Every page that a part of the table of contents names, in order."""
    if isinstance(entry, list):
        for one in entry:
            yield from _files(one)
    elif isinstance(entry, dict):
        yield from (entry[key] for key in ("root", "file") if key in entry)
        for key in ("parts", "chapters", "sections", "subtrees", "entries"):
            yield from _files(entry.get(key))


def listed() -> list[str]:
    """The pages of the table of contents, each its path without an ending."""
    return list(_files(yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))))


def names() -> list[str]:
    """The pages to look at: those listed, Sphinx's own, and any other that lies among the built ones."""
    found = [*listed(), *MADE_BY_SPHINX]
    built = (path.relative_to(HTML) for path in sorted(HTML.rglob("*.html")))
    others = (path.with_suffix("").as_posix() for path in built if not path.as_posix().startswith(SHARED))
    return list(dict.fromkeys([*found, *(name for name in others if name != "index")]))  # index only leads to the first


class Parsed(HTMLParser):
    """What a check of one page needs of its HTML: ids, links, images, text, embedded JSON.

    Attributes:
        ids: every ``id``, as often as it occurs.
        links: (tag, address) of everything that refers to something.
        images: the attributes of each ``<img>``.
        captions: the text of each ``<figure>``'s caption, "" without one.
        framed: for each image, the place in `captions` of the figure it stands in, None outside of figures.
        classes: every class name.
        text: what a reader sees, without scripts and styles.
        embedded: (type, content) of each ``<script>`` that has a type.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.images: list[dict[str, str]] = []
        self.captions: list[str] = []
        self.framed: list[int | None] = []
        self.classes: set[str] = set()
        self.embedded: list[tuple[str, str]] = []
        self._text: list[str] = []
        self._hidden: str | None = None  # script or style, while inside
        self._type = ""
        self._inside: set[str] = set()  # figure, figcaption
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        return "".join(self._text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.classes.update(given.get("class", "").split())
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "img":
            self.images.append(given)
            self.framed.append(len(self.captions) - 1 if "figure" in self._inside else None)
        if tag == "figure":
            self.captions.append("")
        if tag in ("figure", "figcaption"):
            self._inside.add(tag)
        self.links += [(tag, given[name]) for name in ("href", "src", "poster") if name in given]
        if tag in ("script", "style"):
            self._hidden, self._type = tag, given.get("type", "")

    def handle_endtag(self, tag: str) -> None:
        self._inside.discard(tag)
        if tag == self._hidden:
            self._hidden = None

    def handle_data(self, data: str) -> None:
        if self._hidden is None:
            self._text.append(data)
            if {"figure", "figcaption"} <= self._inside:
                self.captions[-1] += data
        elif self._type:
            self.embedded.append((self._type, data))

    def explorers(self) -> int:
        """How many explorers the page's widget state promises: views of a model that anywidget carries."""
        states = [json.loads(text) for kind, text in self.embedded if kind.endswith("widget-state+json")]
        models = {key: model for state in states for key, model in state["state"].items()}
        views = [json.loads(text)["model_id"] for kind, text in self.embedded if kind.endswith("widget-view+json")]
        return sum(models[view]["model_module"] == "anywidget" for view in views)


@cache
def parsed(path: Path) -> Parsed:
    """The page in a file, read once."""
    return Parsed(path.read_text(encoding="utf-8"))
