"""`make book` on a toy book: a failing cell fails it, no page of it stays, and nothing old is shown."""

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
CHAPTER = "_build/html/nbs/01_toy.html"
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
    assert (toy / "_build" / ".jupyter_cache" / "output").exists()
    CHANGES[name](toy, monkeypatch)
    build_book.discard_what_changed(toy)
    assert not (toy / "_build" / ".jupyter_cache").exists()


@pytest.mark.parametrize("path", ["book/index.md", "book/_static/book.css", "nbs/01_toy.ipynb"])
def test_pages_alone_are_written_again_when_text_or_style_changed(toy, path):
    build_book.discard_what_changed(with_outputs(toy))
    pages, chapters = build_book.page_key(toy), build_book.chapter_key(toy)
    (toy / path).write_text("another text\n")
    assert build_book.page_key(toy) != pages
    assert build_book.chapter_key(toy) == chapters
    build_book.discard_what_changed(toy)
    assert (toy / "_build" / ".jupyter_cache" / "output").exists()
    assert not (toy / "_build" / "html").exists()


def with_outputs(toy: Path) -> Path:
    """The toy as an earlier build with the present key left it: pages, and outputs of chapters."""
    for folder in ("html", ".jupyter_cache"):
        (toy / "_build" / folder).mkdir(parents=True)
    (toy / "_build" / "chapters.key").write_text(build_book.chapter_key(toy))
    (toy / "_build" / ".jupyter_cache" / "output").write_text("kept")
    (toy / "_build" / "html" / "index.html").write_text("a page")
    return toy


def test_outputs_of_another_key_are_thrown_away(toy):
    (with_outputs(toy) / "_build" / "chapters.key").unlink()
    build_book.discard_what_changed(toy)
    assert not (toy / "_build" / ".jupyter_cache").exists()


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


def test_a_failed_build_is_not_current_though_one_before_was(toy, monkeypatch, capsys):
    (with_outputs(toy) / "_build" / "pages.key").write_text(build_book.page_key(toy))
    (toy / "book" / "index.md").write_text("# Other\n")

    def fail(root):
        (root / "_build" / "build.log").write_text("WARNING: planted")
        return 3

    monkeypatch.setattr(build_book, "run_jupyter_book", fail)
    assert build_book.build(toy) == 3
    assert "planted" in capsys.readouterr().err
    (toy / "_build" / "html").mkdir()
    (toy / "_build" / "html" / "index.html").write_text("left behind")
    assert not build_book.is_current(toy)


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
        assert not (toy / "_build" / "html").exists()


@pytest.mark.slow
def test_a_broken_reference_fails_the_book(toy):
    (toy / "book" / "index.md").write_text("# Toy\n\n{ref}`nowhere`\n")
    assert build(toy).returncode != 0
    assert not (toy / "_build" / "html").exists()
