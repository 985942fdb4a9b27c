"""A chapter in a real JupyterLab: it runs to its end, its explorer is moved by keyboard, and Python reads the value."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from tests.browser.built import ROOT
from tests.browser.lab import jupyter_lab, open_lab, run_all, run_last
from tests.browser.visits import Record

CHAPTER = ROOT / "nbs" / "01_one-image-many-truths.ipynb"
READ = "import json\nprint(json.dumps([type(raters).__name__, raters.value]))"  # the chapter's explorer
ERRORS = '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'


@pytest.fixture
def chapter(tmp_path):
    """A copy of a chapter, with a last cell that prints what Python reads."""
    notebook = nbformat.read(CHAPTER, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(READ))
    (tmp_path / "nbs").mkdir()
    nbformat.write(notebook, tmp_path / "nbs" / CHAPTER.name)
    return tmp_path / "nbs" / CHAPTER.name  # the one that the book's settings open


@pytest.fixture
def page(browser):
    """A window as wide as a desk's."""
    with browser.new_context(viewport={"width": 1300, "height": 1000}, reduced_motion="reduce") as context:
        yield context.new_page()


def failed_cells(path: Path) -> list[str]:
    """The cells of a saved notebook that were not run or ended with an error."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    wrong = [cell for cell in cells if any(one.output_type == "error" for one in cell.outputs)]
    return [cell.source for cell in cells if cell in wrong or cell.execution_count is None]


def test_a_chapter_runs_and_python_reads_its_explorer(page, chapter, tmp_path):
    with jupyter_lab(tmp_path, tmp_path / "home") as address:
        record = Record(tmp_path, address.partition("/?")[0])
        record.follow(page)
        open_lab(page, address)
        run_all(page)
        assert page.locator(ERRORS).all_inner_texts() == []
        kind, start = json.loads(run_last(page))
        assert (kind, len(start["shown"])) == ("RatersExplorer", 4)
        moved = start
        for name, step in (("case", 1), ("threshold", -1)):  # each time it was out of sight, below it the last cell
            control = page.locator(f".lu-explorer [data-control={name}]")
            control.focus()
            page.keyboard.press("ArrowRight" if step > 0 else "ArrowLeft")
            moved = {**moved, name: moved[name] + step}
            assert json.loads(run_last(page)) == [kind, moved]
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    assert failed_cells(chapter) == []
    assert record.external == []
    assert [text for text in record.errors if text.startswith("thrown")] == []
