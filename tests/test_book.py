"""`make book` on a toy book: a failing cell fails it, no page of it stays, and nothing old passes for the present."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from book import build as build_book

ROOT = Path(__file__).resolve().parent.parent
TOC = "format: jb-book\nroot: book/index\nchapters:\n- file: nbs/01_toy\n"
INDEX, CHAPTER = "_build/html/index.html", "_build/html/nbs/01_toy.html"
OUTPUT = "_build/work/_build/.jupyter_cache/output"
OUTSIDE = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"(?:https?:)?//[^\"]*"
)  # fetched on opening a page


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A repository in small: the real settings and static files, one page, one chapter that imports a package."""
    for folder in ("book", "nbs", "labutils", "results", "data/digits"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "digits" / "0.png").write_bytes(b"0")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    for folder in ("_static", "_ext"):
        shutil.copytree(ROOT / "book" / folder, tmp_path / "book" / folder)
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "CITATION.cff").write_text("version: 1\n")
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


def change(path: str, text: str):
    def act(toy, monkeypatch):
        (toy / path).write_text(text)

    return act


def touch_data(toy, monkeypatch):
    os.utime(toy / "data" / "digits" / "0.png", (1, 1))


def remove_data(toy, monkeypatch):
    (toy / "data" / "digits" / "0.png").unlink()


def take_other_data(toy, monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", str(toy / "elsewhere"))


def take_fetched_data(toy, monkeypatch):
    """The folder of fetched data, where LABUTILS_DATA is not set."""
    monkeypatch.delenv("LABUTILS_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(toy / "home"))
    (toy / "home" / "labutils").mkdir(parents=True)
    (toy / "home" / "labutils" / "new.png").write_bytes(b"")


def take_other_budget(toy, monkeypatch):
    monkeypatch.setenv("LABUTILS_BUDGET", "full")


CHANGES = {
    "package": change("labutils/toy.py", "ANSWER = 'forty-three'\n"),
    "results": change("results/table.json", "[]"),
    "pins": change("constraints.txt", "numpy==2.0\n"),
    "settings": change("_config.yml", "title: another\n"),
    "builder": change("book/pdf.py", "x = 1\n"),
    "extension": change("book/_ext/drawn.py", "x = 1\n"),
    "size of data": change("data/digits/0.png", "0123"),
    "a new file of data": change("data/digits/1.png", "0"),
    "time of data": touch_data,
    "no data": remove_data,
    "other data": take_other_data,
    "fetched data": take_fetched_data,
    "budget": take_other_budget,
}


@pytest.mark.parametrize("name", CHANGES)
def test_chapters_run_again_when_something_changed(toy, monkeypatch, name):
    build_book.discard_what_changed(with_outputs(toy))
    assert (toy / OUTPUT).exists()
    CHANGES[name](toy, monkeypatch)
    build_book.discard_what_changed(toy)
    assert not (toy / OUTPUT).exists()


@pytest.mark.parametrize("path", ["book/index.md", "book/_static/book.css", "nbs/01_toy.ipynb", "CITATION.cff"])
def test_pages_alone_are_written_again_when_text_or_style_changed(toy, path):
    build_book.discard_what_changed(with_outputs(toy))
    pages, chapters = build_book.page_key(toy), build_book.chapter_key(toy)
    (toy / path).write_text("another text\n")
    assert build_book.page_key(toy) != pages
    assert build_book.chapter_key(toy) == chapters
    build_book.discard_what_changed(toy)
    assert (toy / OUTPUT).exists()


def with_outputs(toy: Path) -> Path:
    """The toy as an earlier build with the present key left it: pages, and outputs of chapters."""
    for path, text in ((OUTPUT, "kept"), (INDEX, "a page")):
        (toy / path).parent.mkdir(parents=True)
        (toy / path).write_text(text)
    (toy / "_build" / "chapters.key").write_text(build_book.chapter_key(toy))
    return toy


def test_what_an_ended_build_left_behind_goes_and_the_book_stays(toy):
    left = ["build.log", "work/_build/html/index.html", "work/_build/.doctrees/index", "jupyter_execute/01_toy"]
    with_outputs(toy)
    for path in left:
        (toy / "_build" / path).parent.mkdir(parents=True, exist_ok=True)
        (toy / "_build" / path).write_text("left behind")
    build_book.discard_what_changed(toy)
    assert [path for path in left if (toy / "_build" / path).exists()] == []
    assert (toy / INDEX).read_text() == "a page"


def test_outputs_of_another_key_are_thrown_away(toy):
    (with_outputs(toy) / "_build" / "chapters.key").unlink()
    build_book.discard_what_changed(toy)
    assert not (toy / OUTPUT).exists()


def test_pages_are_current_only_when_made_whole_from_what_is_there(toy):
    with_outputs(toy)
    assert not build_book.is_current(toy), "no build has ended"
    (toy / "_build" / "pages.key").write_text(build_book.page_key(toy))
    assert build_book.is_current(toy)
    (toy / "book" / "index.md").write_text("# Other\n")
    assert not build_book.is_current(toy)
    (toy / "_build" / "pages.key").write_text(build_book.page_key(toy))
    (toy / "_build" / "html" / "index.html").unlink()
    assert not build_book.is_current(toy)


def acted(monkeypatch, status, text="new"):
    """Act Jupyter Book: it writes a page and ends with a status."""

    def run(root):
        (root / "_build" / "build.log").write_text("WARNING: planted")
        (root / build_book.WORK / "_build" / "html").mkdir(parents=True)
        (root / build_book.WORK / "_build" / "html" / "index.html").write_text(text)
        return status

    monkeypatch.setattr(build_book, "run_jupyter_book", run)


def test_new_pages_take_the_place_of_those_before(toy, monkeypatch):
    acted(monkeypatch, 0, "old")
    (toy / "_build").mkdir()
    assert build_book.build(toy) == 0
    (toy / "_build" / "book.pdf").write_text("the old pages")
    (toy / "book" / "index.md").write_text("# Other\n")
    acted(monkeypatch, 0)
    assert build_book.build(toy) == 0
    assert (toy / INDEX).read_text() == "new"
    assert not (toy / "_build" / "book.pdf").exists()
    assert build_book.is_current(toy)


def test_a_failed_build_leaves_the_pages_of_before_and_says_that_they_are(toy, monkeypatch, capsys):
    acted(monkeypatch, 0, "old")
    (toy / "_build").mkdir()
    assert build_book.build(toy) == 0
    (toy / "book" / "index.md").write_text("# Other\n")
    acted(monkeypatch, 3, "with a failed cell")
    assert build_book.build(toy) == 3
    said = capsys.readouterr().err
    assert "planted" in said
    assert f"the pages in {toy / '_build' / 'html'} are those of before" in said
    assert [path.read_text() for path in (toy / "_build").rglob("index.html")] == ["old"]
    assert not build_book.is_current(toy)


def test_a_failed_build_with_none_before_leaves_no_page(toy, monkeypatch, capsys):
    (toy / "_build").mkdir()
    acted(monkeypatch, 3)
    assert build_book.build(toy) == 3
    assert "of before" not in capsys.readouterr().err
    assert list((toy / "_build").rglob("index.html")) == []


def test_a_circle_of_links_in_the_data_is_walked_once(toy):
    (toy / "data" / "digits" / "back").symlink_to(toy / "data")
    (toy / "data" / "digits" / "broken").symlink_to(toy / "nowhere")
    assert [line.split()[:2] for line in build_book.data_manifest(toy / "data")] == [["digits/0.png", "1"]]


def test_a_second_build_waits_and_says_so(toy, capsys, monkeypatch):
    asked = []
    real = fcntl.flock

    def flock(file, how):
        asked.append(how)
        if how == fcntl.LOCK_EX:  # the first has ended
            first.close()
        real(file, how)

    with build_book.only_one(toy):
        pass
    first = open(toy / "_build" / "lock", "w")  # noqa: SIM115  closed when the second waits
    real(first, fcntl.LOCK_EX)
    monkeypatch.setattr(fcntl, "flock", flock)
    with build_book.only_one(toy):
        assert "another build is under way" in capsys.readouterr().out
    assert asked == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX]


@pytest.mark.slow
def test_a_book_is_built_and_follows_the_package(toy):
    first = build(toy)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.splitlines()[-1] == f"book: open {toy / '_build' / 'html' / 'index.html'}"
    assert "forty-two" in (toy / CHAPTER).read_text()
    assert re.fullmatch(r"book: all chapters ran in [0-9.]+ s", first.stdout.splitlines()[-2])
    assert list(json.loads((toy / "_build" / "times.json").read_text())) == ["01_toy"]
    assert build_book.is_current(toy)
    written = (toy / CHAPTER).stat().st_mtime_ns
    assert build(toy).stdout == first.stdout
    assert (toy / CHAPTER).stat().st_mtime_ns == written, "nothing changed, and pages were written again"
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
        assert list((toy / "_build").rglob("01_toy.html")) == []


@pytest.mark.slow
def test_a_broken_reference_fails_the_book(toy):
    (toy / "book" / "index.md").write_text("# Toy\n\n{ref}`nowhere`\n")
    assert build(toy).returncode != 0
    assert not (toy / "_build" / "html").exists()
