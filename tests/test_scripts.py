"""Chapters that train run as scripts, in the smoke budget, where only the light core is: no Jupyter, nothing drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hide import HIDE
from tests.notebooks.cells import CHAPTERS, ROOT

TRAIN = [path for path in CHAPTERS if 4 <= int(path.name[:2]) <= 10]
PREPARED = ("04", "05", "06", "09", "10")  # their data are made by packages that the light core lacks, and then kept
SCRIPT = """
import runpy
import sys
sys.argv = ["book/script.py", *sys.argv[1:]]
runpy.run_path("book/script.py", run_name="__main__")
"""
RUN = HIDE + SCRIPT


def script(program: str, *words: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program in a child, without data of this machine and on one thread."""
    settings = {"LABUTILS_BUDGET": "smoke", "OMP_NUM_THREADS": "1"}
    if cache is not None:
        settings["LABUTILS_CACHE"] = str(cache)
    kept = {name: value for name, value in os.environ.items() if name != "LABUTILS_DATA"}
    command = [sys.executable, "-W", "error", "-c", program, *words]
    return subprocess.run(command, cwd=ROOT, env=kept | settings, capture_output=True, text=True, check=False)


def test_there_are_chapters_that_train():
    assert TRAIN


@pytest.mark.parametrize("chapter", TRAIN, ids=lambda path: path.stem)
def test_a_chapter_runs_as_a_script_on_the_light_core(chapter, tmp_path):
    words, cache = [str(chapter.relative_to(ROOT))], tmp_path / "cache"
    if chapter.name[:2] in PREPARED:
        first = script(SCRIPT, *words, cache=cache)
        assert first.returncode == 0, first.stdout[-2000:] + first.stderr[-2000:]
    done = script(RUN, *words, cache=cache)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "True" in done.stdout  # of its claims
    assert "--: |" in done.stdout  # tables are printed


def test_a_wrong_cell_ends_it(tmp_path):
    chapter = tmp_path / "chapter.ipynb"
    cell = '{"cell_type": "code", "metadata": %s, "source": ["%s"]}'
    cells = [cell % ('{"tags": ["screen"]}', "1 / 0"), cell % ("{}", "print(1)"), cell % ("{}", "assert not 1")]
    chapter.write_text(f'{{"cells": [{", ".join(cells)}]}}', encoding="utf-8")
    done = script(RUN, str(chapter))
    assert done.returncode == 1
    assert done.stdout == "1\n"
    assert f"{chapter}, cell 2" in done.stderr


def test_something_else_than_a_chapter_is_one_sentence():
    done = script(RUN, "nbs")
    assert done.returncode == 2
    assert done.stderr.startswith("wanted the path of one chapter")
