"""The book's own Sphinx extensions: importable by name, and a small site that is built with them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTENSIONS = ROOT / "book" / "_ext"
SETTINGS = f"""
import sys

sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_proof", "docstrings", "figure_index",
              "generated"]
myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
numfig = True
add_module_names = False
autodoc_default_options = {{"members": True}}
default_role = "py:obj"
smartquotes = False
"""


@pytest.fixture(scope="session", autouse=True)
def extensions_by_name():
    """Extensions lie in a folder of the book, not in a package."""
    sys.path.insert(0, str(EXTENSIONS))
    yield
    sys.path.remove(str(EXTENSIONS))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Callable[[Mapping[str, str]], dict[str, str]]:
    """A function that writes pages, builds all that were written so far, and gives the HTML of each by its name."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "conf.py").write_text(SETTINGS)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(folder), str(folder / "out")]

    def build(pages: Mapping[str, str]) -> dict[str, str]:
        for name, text in pages.items():
            (folder / name).write_text(text, encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return {path.stem: path.read_text(encoding="utf-8") for path in (folder / "out").glob("*.html")}

    return build
