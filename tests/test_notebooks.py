"""Every chapter runs in the smoke budget and its checked cells print what they did; notebooks that must fail do fail.

Each chapter is one test: a child pytest runs its cells with nbval in one kernel, where warnings are errors
(notebooks/strict_kernel.py). A cell tagged ``nbval-check-output`` is compared with the output stored in it.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import nbformat
import pytest
import yaml

from tests.notebooks.cells import CHAPTERS, ROOT, run_cells

CHECKED = "nbval-check-output"

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def write_notebook(path: Path, *cells: tuple[str, str | None]) -> Path:
    """A notebook of code cells, each (source, stored output of a checked cell or None)."""
    notebook = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for count, (source, stored) in enumerate(cells, start=1):
        cell = nbformat.v4.new_code_cell(source, execution_count=count)
        if stored is not None:
            cell.metadata.tags = [CHECKED]
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stored)]
        notebook.cells.append(cell)
    nbformat.write(notebook, path)
    return path


def complaints(path: Path) -> list[str]:
    """What is wrong with how a chapter is stored: vacuous checks, stray outputs, missing label or language."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    checked = [cell for cell in code if CHECKED in cell.metadata.get("tags", [])]
    found = [] if len(checked) >= 3 else [f"{len(checked)} cells are tagged {CHECKED}; wanted at least 3"]
    for cell in checked:
        texts = [output.get("text") or output.get("data", {}).get("text/plain") for output in cell.outputs]
        if not any(texts) or any(output.output_type == "error" for output in cell.outputs):
            found.append(f"nothing stored to compare: {cell.source}")
        elif cell.execution_count is None:
            found.append(f"a checked cell without its count is never compared: {cell.source}")
    stray = [cell.source for cell in code if cell.outputs and cell not in checked]
    found += [f"a cell that is not checked keeps its output: {source}" for source in stray]
    first = notebook.cells[0]
    label = path.stem.partition("_")[2]
    if first.cell_type != "markdown" or not first.source.startswith(f"({label})=\n"):
        found.append(f"the first cell does not begin with the label ({label})=")
    if notebook.metadata.get("language_info", {}).get("name") != "python":
        found.append("metadata.language_info is missing; JupyterLab would ask for a kernel")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3")
    if notebook.metadata.get("widgets"):
        found.append("metadata.widgets is stored")
    return found


@chapters
def test_a_chapter_runs_in_the_smoke_budget(path, tmp_path, record_property):
    """How long one may take is judged by `tests.bench.bench_chapters`; here a cell is stopped that never ends."""
    start = time.perf_counter()
    done = run_cells(path, tmp_path)
    record_property("chapter_seconds", time.perf_counter() - start)
    assert done.returncode == 0, done.stdout + done.stderr


@chapters
def test_a_chapter_is_stored_as_agreed(path):
    assert complaints(path) == []


def test_the_table_of_contents_lists_every_chapter_once():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    listed = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    assert [name for name in listed if name.startswith("nbs/")] == [f"nbs/{path.stem}" for path in CHAPTERS]
    assert len(set(listed)) == len(listed)
    assert all((ROOT / name).with_suffix(".md").exists() for name in listed if name.startswith("book/"))


def test_a_good_notebook_passes(tmp_path):
    cells = [("x = 1 + 1", None), ("print('x is', x)", "x is 2\n"), ("%matplotlib inline", None)]
    done = run_cells(write_notebook(tmp_path / "good.ipynb", *cells), tmp_path)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


CANARIES = (
    ("print('x is', 1 + 1)", "x is 3\n", "Cell outputs differ"),
    ("1 / 0", None, "ZeroDivisionError"),
    ("%no_such_magic", None, "UsageError"),
    ("import warnings\nwarnings.warn('old', FutureWarning)", None, "FutureWarning"),
    ("import numpy as np\nnp.float64(1) / 0", None, "RuntimeWarning"),
)


def test_every_canary_cell_fails(tmp_path):
    cells = [(source, stored) for source, stored, _ in CANARIES]
    done = run_cells(write_notebook(tmp_path / "canary.ipynb", ("x = 1", None), *cells), tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{len(CANARIES)} failed, 1 passed" in done.stdout
    reports = re.split(r"_{5,} .*::Cell \d+ _{5,}", done.stdout)[1:]
    for report, (_, _, message) in zip(reports, CANARIES, strict=True):
        assert message in report


@pytest.mark.slow
@pytest.mark.parametrize("source", ["import time\ntime.sleep(60)", "import os\nos._exit(1)"], ids=["endless", "killed"])
def test_a_cell_that_never_answers_fails(tmp_path, source):
    done = run_cells(write_notebook(tmp_path / "canary.ipynb", (source, None)), tmp_path, cell_timeout_s=3)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Timeout of 3 seconds" in done.stdout


def stored(path: Path, **changes: object) -> Path:
    """A chapter that is stored as agreed, then changed."""
    write_notebook(path, *[(f"print({n})", f"{n}\n") for n in range(3)], ("x = 1", None))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("(one-image)=\n# One image"))
    for name, value in changes.items():
        where, _, field = name.partition("_")
        target = notebook.metadata if where == "meta" else notebook.cells[int(where[1:])]
        target[field] = value
    nbformat.write(notebook, path)
    return path


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"c1_outputs": []}, "nothing stored"),
        ({"c1_execution_count": None}, "never compared"),
        ({"c1_metadata": {}}, "2 cells are tagged"),
        ({"c4_outputs": [nbformat.v4.new_output("stream", text="1")]}, "keeps its output"),
        ({"c0_source": "# One image"}, "label"),
        ({"meta_language_info": {}}, "language_info"),
        ({"meta_kernelspec": {"name": "old", "display_name": "old"}}, "python3"),
        ({"meta_widgets": {"x": 1}}, "widgets"),
    ],
)
def test_a_badly_stored_chapter_is_found(tmp_path, changes, expected):
    found = " ".join(complaints(stored(tmp_path / "01_one-image.ipynb", **changes)))
    assert (expected in found) if expected else (found == "")
