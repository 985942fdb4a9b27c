"""Every public function, class and module of the package says in one short line what it gives."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "labutils").rglob("*.py"))
LONGEST = 120  # of a first line, indented or not


def undocumented(source: str) -> list[str]:
    """Public names of a source without a docstring, or with a first line that is too long."""
    tree = ast.parse(source)
    named = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    members = [("module", tree)] + [(node.name, node) for node in named if not node.name.startswith("_")]
    found = []
    for name, node in members:
        text = ast.get_docstring(node)
        if not text:
            found.append(f"{name} has no docstring")
        elif len(text.splitlines()[0]) > LONGEST:
            found.append(f"{name}: the first line of its docstring is over {LONGEST} characters")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_public_names_are_documented(path):
    assert undocumented(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", ["module has no docstring"]),
        ('"""M."""\ndef f(): ...', ["f has no docstring"]),
        ('"""M."""\nclass A: ...', ["A has no docstring"]),
        (f'"""{"m" * 121}"""', ["module: the first line of its docstring is over 120 characters"]),
        ('"""M."""\ndef _f(): ...\ndef g():\n    """G."""', []),
    ],
)
def test_a_planted_gap_is_caught(source, expected):
    assert undocumented(source) == expected
