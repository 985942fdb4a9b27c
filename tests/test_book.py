"""`make book` on a toy book: a failing cell fails it, no page of it stays, and nothing old is shown."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
TOC = "format: jb-book\nroot: book/index\nchapters:\n- file: nbs/01_toy\n"
CHAPTER = "_build/html/nbs/01_toy.html"
OUTSIDE = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"(?:https?:)?//[^\"]*"
)  # fetched on opening a page

spec = importlib.util.spec_from_file_location("build_book", ROOT / "book" / "build.py")
build_book = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_book)


@pytest.fixture
def toy(tmp_path):
    """A repository in small: the real settings and static files, one page, one chapter that imports a package."""
    for folder in ("book", "nbs", "labutils", "results"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "_config.yml", tmp_path)
    for folder in ("_static", "_ext"):
        shutil.copytree(ROOT / "book" / folder, tmp_path / "book" / folder)
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "labutils" / "toy.py").write_text("ANSWER = 'forty-two'\n")
    (tmp_path / "book" / "_toc.yml").write_text(TOC)
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "book" / "index.md").write_text("# Toy\n\nA formula: $x^2$.\n")
    write_chapter(tmp_path, "import sys; sys.path.insert(0, '../labutils')\nimport toy\nprint(toy.ANSWER)")
    return tmp_path


def write_chapter(root: Path, source: str) -> None:
    notebook = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells = [nbformat.v4.new_markdown_cell("# A chapter"), nbformat.v4.new_code_cell(source)]
    nbformat.write(notebook, root / "nbs" / "01_toy.ipynb")


def build(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "book" / "build.py"), "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_key_follows_what_chapters_depend_on(toy, monkeypatch):
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    keys = [build_book.build_key(toy)]
    assert build_book.build_key(toy) == keys[0]
    (toy / "labutils" / "toy.py").write_text("ANSWER = 'forty-three'\n")
    keys.append(build_book.build_key(toy))
    (toy / "results" / "table.json").write_text("[]")
    keys.append(build_book.build_key(toy))
    (toy / "constraints.txt").write_text("numpy==2.0\n")
    keys.append(build_book.build_key(toy))
    monkeypatch.setenv("LABUTILS_DATA", "/somewhere")
    keys.append(build_book.build_key(toy))
    assert len(set(keys)) == len(keys)


def test_an_old_build_is_thrown_away(toy):
    build_book.discard_if_changed(toy)
    (toy / "_build" / "page").write_text("old")
    build_book.discard_if_changed(toy)
    assert (toy / "_build" / "page").exists()
    (toy / "labutils" / "toy.py").write_text("ANSWER = 'forty-three'\n")
    build_book.discard_if_changed(toy)
    assert not (toy / "_build" / "page").exists()


@pytest.mark.slow
def test_a_book_is_built_and_follows_the_package(toy):
    first = build(toy)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.splitlines()[-1] == f"book: open {toy / '_build' / 'html' / 'index.html'}"
    assert "forty-two" in (toy / CHAPTER).read_text()
    assert list(json.loads((toy / "_build" / "times.json").read_text())) == ["01_toy"]
    (toy / "labutils" / "toy.py").write_text("ANSWER = 'forty-three'\n")
    assert build(toy).returncode == 0
    assert "forty-three" in (toy / CHAPTER).read_text()
    for page in (toy / "_build" / "html").rglob("*.html"):
        if "_static" not in page.parts:
            assert OUTSIDE.findall(page.read_text()) == [], f"{page.name} asks the internet"
    assert "vendor/mathjax/tex-mml-chtml.js" in (toy / "_build" / "html" / "book" / "index.html").read_text()


@pytest.mark.slow
def test_a_failing_cell_fails_the_book_every_time(toy):
    write_chapter(toy, "1 / 0")
    for _ in range(2):
        done = build(toy)
        assert done.returncode != 0, done.stdout
        assert "ZeroDivisionError" in done.stderr
        assert not (toy / "_build" / "html").exists()


@pytest.mark.slow
def test_a_broken_reference_fails_the_book(toy):
    (toy / "book" / "index.md").write_text("# Toy\n\n{ref}`nowhere`\n")
    assert build(toy).returncode != 0
    assert not (toy / "_build" / "html").exists()
