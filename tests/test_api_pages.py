"""Every module of the package stands on exactly one page of the book, and every page is in the contents."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import yaml

from tests.test_layers import ORDER

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "book" / "api").glob("*.md"))
NAMED = re.compile(r"^\.\. automodule:: ([\w.]+)$", flags=re.MULTILINE)


def public_modules(package: Path) -> set[str]:
    """Dotted names of a package's modules without an underscore; a folder counts as its __init__."""
    found = set()
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            found.add(".".join(parts))
    return found


def test_every_module_is_on_one_page():
    named = Counter(name for page in PAGES for name in NAMED.findall(page.read_text(encoding="utf-8")))
    modules = public_modules(ROOT / "labutils")
    assert modules - set(named) == set(), "add an automodule block to the page of the room in book/api"
    assert set(named) - modules == set(), "there is no such module any more"
    assert [name for name, count in named.items() if count > 1] == []


def test_a_module_is_on_the_page_of_its_room():
    for page in PAGES:
        rooms = {name.split(".")[1] for name in NAMED.findall(page.read_text(encoding="utf-8")) if "." in name}
        assert rooms == ({page.stem} - {"index"})


def test_pages_have_their_label_and_stand_in_the_contents():
    contents = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    chapters = [entry for part in contents["parts"] for entry in part["chapters"]]
    sections = next(entry["sections"] for entry in chapters if entry["file"] == "book/api/index")
    rooms = [room for room in ORDER if any(page.stem == room for page in PAGES)]
    assert [entry["file"] for entry in sections] == [f"book/api/{room}" for room in rooms]
    assert {page.stem for page in PAGES} == {"index", *rooms}
    for page in PAGES:
        label = "api" if page.stem == "index" else f"api-{page.stem}"
        assert page.read_text(encoding="utf-8").startswith(f"({label})=\n# ")


def test_the_index_lists_every_room():
    index = (ROOT / "book" / "api" / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   ~labutils\.(\w+)$", index, flags=re.MULTILINE)
    assert listed == [page for page in ORDER if (ROOT / "book" / "api" / f"{page}.md").exists()]


def test_a_planted_module_is_missed(tmp_path):
    package = tmp_path / "labutils"
    (package / "core" / "_hidden").mkdir(parents=True)
    for name in ("__init__.py", "core/__init__.py", "core/new.py", "core/_private.py", "core/_hidden/x.py"):
        (package / name).write_text("")
    assert public_modules(package) == {"labutils", "labutils.core", "labutils.core.new"}
