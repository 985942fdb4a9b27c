"""What reference pages name exists: terms in the text, commands with their options and settings, Python names."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
import typer

from labutils.cli.main import app
from labutils.cli.settings import read_tables
from labutils.cli.train import TABLES
from labutils.core.config import from_dict
from labutils.models.unet import UNetConfig

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "book").rglob("*.md"))
NOTEBOOKS = sorted((ROOT / "nbs").glob("*.ipynb"))
WHICH = (ROOT / "book" / "which-method.md").read_text(encoding="utf-8")
REFERENCE = re.compile(r"\{py:(mod|func|class)\}`~?([\w.]+)`")


def markdown(path: Path) -> str:
    """The prose of a page or a notebook."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


TEXTS = {path: markdown(path) for path in (*PAGES, *NOTEBOOKS)}
TERMS = re.findall(
    r"^(\S.*)\n  \S", TEXTS[ROOT / "book" / "glossary.md"].partition("```{glossary}")[2], flags=re.MULTILINE
)
REFERENCES = sorted({found for text in TEXTS.values() for found in REFERENCE.findall(text)})


def test_there_are_terms_and_references():
    assert len(TERMS) > 50
    assert len(REFERENCES) > 20


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_one_of_the_book(term):
    """In the text, in a figure's caption or in the code of a chapter, or on an API page."""
    pages = [text for path, text in TEXTS.items() if path.stem not in {"glossary", "which-method"}]
    sources = [path.read_text(encoding="utf-8") for path in (*NOTEBOOKS, *(ROOT / "labutils").rglob("*.py"))]
    text = re.sub(r"[\s*]+", " ", " ".join(pages + sources)).lower()
    assert re.search(rf"\b{re.escape(term.lower())}", text), f"{term} is in the glossary and nowhere else"


def test_terms_are_named_once():
    assert sorted({term.lower() for term in TERMS}) == sorted(term.lower() for term in TERMS)


@pytest.mark.parametrize(("kind", "name"), REFERENCES)
def test_a_python_name_has_its_place_on_an_api_page(kind, name):
    """The link would silently be none where the name is private or lives in another module."""
    assert not any(part.startswith("_") for part in name.split("."))
    if kind == "mod":
        import_module(name)
        return
    module, _, attribute = name.rpartition(".")
    thing = getattr(import_module(module), attribute)
    assert thing.__module__ == module
    assert isinstance(thing, type) == (kind == "class")


def commands_of(text: str) -> list[str]:
    """Each command that a text shows, in a block or in a line."""
    text = re.sub(r"\\\n\s*", "", text)  # a line may go on in the next
    return re.findall(r"^\s*(labutils .+)$", text, flags=re.MULTILINE) + re.findall(r"`(labutils [^`]+)`", text)


def command_of(command: str):
    """The command that a line calls, and the words that it is given.

    Raises:
        KeyError: there is no such command.
    """
    words, found = shlex.split(command)[1:], typer.main.get_command(app)
    while hasattr(found, "commands"):
        found = found.commands[words.pop(0)]
    return found, words


def options_of(command: str) -> tuple[list[str], set[str]]:
    """The options that a command uses, and those that it has."""
    found, words = command_of(command)
    return [word for word in words if word.startswith("--")], {o for p in found.params for o in p.opts}


@pytest.mark.parametrize("command", commands_of(WHICH))
def test_a_command_of_the_page_exists_with_its_options(command):
    used, known = options_of(command)
    assert used
    assert set(used) <= known


def chapter_commands():
    """The commands with options that chapters show."""
    for path in sorted((Path(__file__).parents[1] / "nbs").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4)["cells"]:
            if cell["cell_type"] == "markdown":
                yield from (command for command in commands_of("".join(cell["source"])) if " --" in command)


@pytest.mark.parametrize("command", list(chapter_commands()))
def test_a_command_of_a_chapter_has_every_option_that_it_needs(command):
    found, words = command_of(command)
    given = found.make_context("labutils", words).params
    assert not [p.name for p in found.params if p.required and given[p.name] is None]


@pytest.mark.parametrize("setting", sorted(set(re.findall(r"\bmodel\.\w+=[\w-]+", WHICH))))
def test_a_setting_of_the_page_is_accepted(setting):
    from_dict(UNetConfig, {"channels": 1, "classes": 2} | read_tables(None, [setting], TABLES)["model"])


def test_the_space_of_the_page_can_be_searched():
    from labutils.search.space import SearchConfig, require_space

    (told,) = re.findall(r"```toml\n(.*?)```", WHICH, flags=re.DOTALL)
    config = from_dict(SearchConfig, tomllib.loads(told)["search"], "search")
    assert [name for name, _ in config.space] == ["fit.lr", "model.latent"]
    require_space(config.space, "stochastic-cm", {"model": {}, "fit": {}})


@pytest.mark.parametrize("word", sorted(set(re.findall(r"--sampler ([a-z-]+)", WHICH))))
def test_a_sampler_of_the_page_exists(word):
    from labutils.models.samplers import SAMPLERS

    assert word in SAMPLERS


@pytest.mark.parametrize("command", ["labutils trian --data x", "labutils data nothing"])
def test_a_planted_command_is_caught(command):
    with pytest.raises(KeyError):
        options_of(command)
