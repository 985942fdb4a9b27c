"""The opening cell for notebooks in the cloud, taken from its page: it asks for what exists, and its parts work."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "book" / "run.md").read_text(encoding="utf-8")
(CELL,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
PYTHON = (3, 11, 2)
ADDRESS = "https://example.org/us/copy"


@pytest.fixture(scope="module")
def parts():
    """The functions of the cell, without what it does on its own."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    body = [node for node in ast.parse(CELL).body if isinstance(node, kinds)]
    namespace = {}
    exec(compile(ast.Module(body, []), "cell", "exec"), namespace)
    return SimpleNamespace(**namespace)


def test_the_cell_fits_the_page():
    assert max(map(len, CELL.splitlines())) <= 79


@pytest.mark.parametrize(
    ("python", "repository", "budget", "sentence"),
    [
        (PYTHON, ADDRESS, "quick", None),
        ((3, 10, 9), ADDRESS, "quick", "Python is 3.10; wanted 3.11 or newer"),
        (PYTHON, "https://github.com/YOUR-NAME/YOUR-COPY", "quick", "REPOSITORY is the example"),
        (PYTHON, ADDRESS, "fast", "BUDGET is 'fast'; wanted smoke, quick or full"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(parts, python, repository, budget, sentence):
    said = parts.fault(python, repository, budget)
    assert said is None if sentence is None else said.startswith(sentence)


def test_the_cell_wants_the_python_of_the_package(parts):
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    lowest = tuple(map(int, wanted.removeprefix(">=").split(".")))
    assert parts.fault((*lowest, 0), ADDRESS, "quick") is None
    assert parts.fault((lowest[0], lowest[1] - 1, 9), ADDRESS, "quick") is not None


def test_torch_and_numpy_of_the_machine_stay_and_all_else_is_pinned(parts):
    lock = (ROOT / "constraints.txt").read_text().split()
    kept = parts.pins("\n".join(lock), {"torch": "2.12.0+cu128", "numpy": "2.1.0"}).split()
    assert set(lock) - set(kept) == {line for line in lock if line.startswith(("torch==", "numpy=="))}
    assert set(kept) - set(lock) == {"torch==2.12.0+cu128", "numpy==2.1.0"}
    assert parts.pins("\n".join(lock), {}).split() == lock


def test_versions_of_what_is_here_are_found(parts):
    assert parts.installed("numpy", "no-such-package") == {"numpy": sys.modules["importlib.metadata"].version("numpy")}


def act(folder, monkeypatch, *, failing=None):
    """Carry out the cell in an empty folder where programs are acted; gives the commands it gave."""
    commands = []

    def acted(command, **options):
        commands.append(command)
        if "clone" in command:
            Path(command[-1]).mkdir()
            (Path(command[-1]) / "constraints.txt").write_text((ROOT / "constraints.txt").read_text())
        return SimpleNamespace(returncode=int(failing in command), stderr="much\nno such place\n")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(subprocess, "run", acted)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("LABUTILS_BUDGET", "smoke")
    exec(CELL.replace("https://github.com/YOUR-NAME/YOUR-COPY", ADDRESS), {})
    return commands


def test_the_cell_copies_installs_and_sets_the_budget(tmp_path, monkeypatch, capsys):
    copied = tmp_path / "labutils-book"
    clone, install = act(tmp_path, monkeypatch)
    assert clone == ("git", "clone", "--depth", "1", ADDRESS, str(copied))
    assert install[:5] == (sys.executable, "-m", "pip", "install", "-c")
    pinned = {line.split("==")[0] for line in Path(install[5]).read_text().split()}
    extra = {name for name in install[6:] if name not in ("-e", str(copied))}
    assert extra <= pinned, "a package that the book does not pin"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {re.split(r"[^\w-]", line)[0] for line in project["optional-dependencies"]["book"]}
    assert extra <= asked, "a package that is not among the extra 'book'"
    assert os.environ["LABUTILS_BUDGET"] == "quick"
    assert sys.path[0] == str(copied)
    assert len(act(tmp_path, monkeypatch)) == 1, "copied a second time"
    assert capsys.readouterr().out.startswith("ready")


@pytest.mark.parametrize(("program", "task"), [("git", "copy the repository"), ("pip", "install the package")])
def test_a_failure_is_one_sentence_with_the_reason(tmp_path, monkeypatch, program, task):
    with pytest.raises(RuntimeError, match=rf"^could not {task}: no such place$"):
        act(tmp_path, monkeypatch, failing=program)
