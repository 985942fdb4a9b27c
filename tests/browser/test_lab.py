"""A chapter in a real JupyterLab: it runs to its end, its explorer is moved by keyboard, and Python reads the value."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from tests.browser.built import ROOT
from tests.browser.lab import jupyter_lab, open_notebook, run_all, run_last
from tests.browser.visits import Record

CHAPTER = ROOT / "nbs" / "01_one-image-many-truths.ipynb"
# What Python holds of the explorers: the value of each that anywidget carries, else those of the sliders.
READ = """
import json
from anywidget import AnyWidget
from ipywidgets import IntSlider
from ipywidgets.widgets.widget import _instances

carried = [one.value for one in _instances.values() if isinstance(one, AnyWidget)]
sliders = [one.value for one in _instances.values() if isinstance(one, IntSlider)]
print(json.dumps(carried or sliders))
"""
ERRORS = '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'


@pytest.fixture
def chapter(tmp_path):
    """A copy of a chapter, with a last cell that prints what Python reads."""
    notebook = nbformat.read(CHAPTER, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(READ))
    (tmp_path / "nbs").mkdir()
    nbformat.write(notebook, tmp_path / "nbs" / CHAPTER.name)
    return tmp_path / "nbs" / CHAPTER.name


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
    with jupyter_lab(chapter.parent, tmp_path) as address:
        record = Record(chapter.parent, address.partition("/lab")[0])
        record.follow(page)
        open_notebook(page, address, chapter.name)
        run_all(page)
        assert page.locator(ERRORS).all_inner_texts() == []
        before = json.loads(run_last(page))
        assert before
        control = page.locator(".lu-explorer input[type=range], .jp-OutputArea-output [role=slider]").first
        control.scroll_into_view_if_needed()
        control.focus()
        page.keyboard.press("ArrowRight")
        after = json.loads(run_last(page))
        assert after != before
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    assert failed_cells(chapter) == []
    assert record.external == []
    assert [text for text in record.errors if text.startswith("thrown")] == []
