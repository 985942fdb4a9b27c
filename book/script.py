"""A chapter as a script, cell by cell, without Jupyter: ``python book/script.py nbs/08_probabilistic-unet.ipynb``.

For a machine that has the light core and nothing to look at: nothing is drawn, tables are printed, and the cells that
are tagged ``screen`` (explorers, and what needs a database) are left out. Everything else runs; a failure ends it.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

LEFT_OUT = "screen"  # tag of cells that are nothing without one
STAND_INS = ("IPython", "labutils.viz")


class Undrawn:
    """What draws, and what it gives: nothing, which others take."""

    def __call__(self, *given: object, **named: object) -> Undrawn:
        return self

    def __getattr__(self, name: str) -> Undrawn:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class StandIns(MetaPathFinder, Loader):
    """Modules that draw and show, without drawing and showing."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """A stand-in for a module of `STAND_INS` or below one."""
        ours = any(name == top or name.startswith(f"{top}.") for top in STAND_INS)
        return ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """A module whose every name is `Undrawn`, but for the texts of a page."""
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: _named(spec.name, name)  # type: ignore[method-assign]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing is left to do."""


def _named(module: str, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return print if (module, name) == ("IPython.display", "Markdown") else Undrawn()


def code_of(chapter: Path) -> list[tuple[int, str]]:
    """Number and code of each cell that is run."""
    cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
    return [
        (number, "".join(cell["source"]))
        for number, cell in enumerate(cells)
        if cell["cell_type"] == "code" and LEFT_OUT not in cell["metadata"].get("tags", [])
    ]


def main(words: Sequence[str]) -> int:
    """Run one chapter; the exit status is 2 where it is not named rightly."""
    if len(words) != 1 or not Path(words[0]).is_file():
        print(
            f"wanted the path of one chapter, such as nbs/08_probabilistic-unet.ipynb; got {list(words)}",
            file=sys.stderr,
        )
        return 2
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.meta_path.insert(0, StandIns())
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, code in code_of(Path(words[0])):
        exec(compile(code, f"{words[0]}, cell {number}", "exec"), names)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
