"""Rules of the package, read from its source: who may import whom, what is imported when, how long a file may be."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = (  # a room imports from itself and from rooms before it
    *("core", "scale", "metrics", "consensus", "geometry", "losses", "viz"),
    *("models", "data", "training", "evaluation", "search", "explore", "cli"),
)
OWNED = {"optuna": "search", "mlflow": "search", "ipywidgets": "explore", "anywidget": "explore"}
LIGHT = {"torch", "numpy", "scipy", "cv2", "tqdm", "safetensors", "lightning_fabric", "lightning"}
HEAVY_ROOMS = {"viz", "search", "explore", "cli"}
FILES = sorted((ROOT / "labutils").rglob("*.py"))
LONGEST = 400


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    """The room of a file of the package; labutils/__init__.py is the door, and may open any room."""
    first = path.relative_to(ROOT / "labutils").parts[0].removesuffix(".py")
    return "door" if first == "__init__" else first


def targets(node: ast.AST) -> list[str]:
    """Dotted names that an import statement reaches; ``from labutils import core`` reaches labutils.core."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.level:
            return ["." * node.level + (node.module or "")]
        if node.module == "labutils":
            return [f"labutils.{alias.name}" for alias in node.names]
        return [node.module or ""]
    return []


def imports_at_load(body: list[ast.stmt]) -> list[str]:
    """Names imported when the module itself is imported: not inside functions, not for type checkers only."""
    found: list[str] = []
    for node in body:
        found += targets(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for field in ("body", "orelse", "finalbody"):
            for_checkers = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and field == "body"
            if not for_checkers and isinstance(getattr(node, field, None), list):
                found += imports_at_load(getattr(node, field))
        for handler in getattr(node, "handlers", []):
            found += imports_at_load(handler.body)
    return found


def comes_before(room: str, other: str) -> bool:
    """Whether `room` must not know `other`; the door comes after every room."""
    return room != "door" and ORDER.index(room) < ORDER.index(other)


def breaches(room: str, source: str) -> list[str]:
    """What a file of `room` with this source does against the rules, one sentence each."""
    tree = ast.parse(source)
    found = []
    for name in [name for node in ast.walk(tree) for name in targets(node)]:
        top, *rest = name.split(".")
        if not top:
            found.append(f"relative import of {name}; wanted an absolute one")
        elif OWNED.get(top, room) != room:
            found.append(f"{name} belongs to labutils.{OWNED[top]}")
        elif top == "labutils" and rest and rest[0] in ORDER and comes_before(room, rest[0]):
            found.append(f"labutils.{room} must not import {name}")
    for name in imports_at_load(tree.body):
        top = name.split(".")[0]
        if room not in HEAVY_ROOMS and top not in LIGHT | set(sys.stdlib_module_names) | {"labutils", ""}:
            found.append(f"{name} is imported with the module; import it inside the function that needs it")
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_follow_the_rules(path):
    assert room_of(path) in {*ORDER, "door"}, f"{room_of(path)} is not a room; the rooms are {ORDER}"
    assert breaches(room_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source", "expected"),
    [
        ("metrics", "import mlflow", "belongs to labutils.search"),
        ("metrics", "def f():\n    from optuna.trial import Trial", "belongs to labutils.search"),
        ("cli", "import ipywidgets", "belongs to labutils.explore"),
        ("viz", "from labutils.models.unet import UNet", "must not import labutils.models.unet"),
        ("models", "def f():\n    import labutils.data", "must not import labutils.data"),
        ("core", "from labutils import metrics", "must not import labutils.metrics"),
        ("metrics", "from . import overlap", "wanted an absolute one"),
        ("data", "import pylidc", "import it inside the function"),
        ("data", "try:\n    import tifffile\nexcept ImportError:\n    pass", "import it inside the function"),
        ("losses", "class A:\n    import sklearn", "import it inside the function"),
        ("losses", "if True:\n    pass\nelse:\n    import monai", "import it inside the function"),
    ],
)
def test_a_planted_import_is_caught(room, source, expected):
    assert len(breaches(room, source)) >= 1
    assert expected in " ".join(breaches(room, source))


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("data", "def f():\n    import pylidc"),
        ("data", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas"),
        ("search", "import optuna, mlflow"),
        ("viz", "import matplotlib"),
        ("training", "import torch\nfrom labutils.models.registry import build"),
        ("door", "def load():\n    from labutils.training.trained import load_trained"),
    ],
)
def test_what_is_allowed_passes(room, source):
    assert breaches(room, source) == []


@pytest.mark.parametrize("path", FILES + sorted((ROOT / "tests").rglob("*.py")), ids=name_of)
def test_no_file_is_too_long(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{name_of(path)} has {lines} lines; split it by subject"
