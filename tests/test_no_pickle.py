"""Nothing in the package or the chapters may run code that came with a file: no pickle in any dress, no eval.

One file may read a pickle, by instructions that can name nothing: a program that only `labutils data convert-pickle`
starts, in a process of its own. What it does with hostile files is tested in tests/data/test_lidc_pickle.py.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve"}
CALLS = {
    *("torch.load", "torch.hub.load", "torch.jit.load", "joblib.load"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec"),
    *("pandas.read_pickle", "mlflow.pytorch.load_model"),
}
NAMES = {"read_pickle", "unsafe_load"}  # attributes refused whatever they are called on
READER = ROOT / "labutils" / "data" / "_lidc_unpickle.py"  # the one program that opens a pickle
STARTER = ROOT / "labutils" / "data" / "lidc_pickle.py"  # the one file that starts it
PYTHON = sorted((ROOT / "labutils").rglob("*.py"))
CHAPTERS = sorted((ROOT / "nbs").glob("*.ipynb"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def notebook_source(text: str) -> str:
    """The code cells of a notebook as one source, IPython's magics and shell lines left out."""
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = [line for cell in cells for line in "".join(cell["source"]).splitlines()]
    return "\n".join("pass" if line.startswith(("%", "!")) else line for line in lines)


def full_names(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: ``import torch as t`` gives {"t": "torch"}."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def unsafe(source: str) -> list[str]:
    """Every place of a source that loads by running code, as ``line: what``."""
    tree = ast.parse(source)
    aliases, found = full_names(tree), []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if (node.module or "").split(".")[0] in MODULES else []
        elif isinstance(node, ast.Attribute | ast.Name):
            dotted = ast.unparse(node)
            first, _, rest = dotted.partition(".")
            dotted = ".".join(filter(None, (aliases.get(first, first), rest)))
            refused = dotted in CALLS or dotted.rpartition(".")[2] in NAMES
            names = [dotted] if refused else []
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            names = [] if isinstance(node.value, ast.Constant) and node.value.value is False else ["allow_pickle"]
        found += [f"{node.lineno}: {name}" for name in names]
    return found


@pytest.mark.parametrize("path", [path for path in PYTHON if path != READER], ids=name_of)
def test_the_package_loads_no_code(path):
    assert unsafe(path.read_text(encoding="utf-8")) == []


def test_the_reader_of_pickles_uses_nothing_of_pickle_but_a_class_that_finds_nothing():
    source = READER.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert [place.partition(": ")[2] for place in unsafe(source)] == ["pickle"]
    used = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert [name for name in used if name.startswith("pickle.")] == ["pickle.Unpickler"]
    (reader,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Unpickler"]
    overridden = {node.name for node in reader.body if isinstance(node, ast.FunctionDef)}
    assert overridden == {"find_class", "persistent_load"}
    assert "super" not in ast.unparse(reader)


@pytest.mark.parametrize("path", [*PYTHON, *CHAPTERS], ids=name_of)
def test_nothing_imports_the_reader_of_pickles_and_one_file_starts_it(path):
    text = path.read_text(encoding="utf-8")
    assert (READER.stem in text) == (path == STARTER), "only the starter may know the reader's name"
    if path == STARTER:  # by its path, for another process
        imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert READER.stem not in " ".join(map(ast.unparse, imports))
        assert "import_module" not in text


def test_only_the_command_line_reaches_the_starter():
    users = [path for path in PYTHON if STARTER.stem in path.read_text(encoding="utf-8") and path != STARTER]
    importers = [name_of(path) for path in users if f"labutils.data.{STARTER.stem} import" in path.read_text("utf-8")]
    assert importers == ["labutils/cli/data.py"]


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_the_chapters_load_no_code(path):
    assert unsafe(notebook_source(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from dill import loads",
        "import torch\ntorch.load('w.pt')",
        "import torch as t\nt.load('w.pt', weights_only=True)",
        "from torch import load\nload('w.pt')",
        "from torch import load as read\nread('w.pt')",
        "import joblib\njoblib.load('m')",
        "import numpy as np\nnp.load('a.npy', allow_pickle=True)",
        "import numpy as np\nnp.load('a.npy', allow_pickle=flag)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import pandas as pd\npd.read_pickle('t')",
        "eval('1')",
        "exec(compile(text, 'x', 'exec'))",
        "run = eval",
        "import marshal as m",
        "import shelve",
    ],
)
def test_a_planted_load_is_caught(source):
    assert unsafe(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "import numpy as np\nnp.load('a.npy')",
        "import numpy as np\nnp.load('a.npy', allow_pickle=False)",
        "import json\njson.load(stream)",
        "import yaml\nyaml.safe_load(text)",
        "from safetensors.torch import load\nload(data)",
        "def load(name): ...\nload('x')",
    ],
)
def test_harmless_code_passes(source):
    assert unsafe(source) == []


def test_magics_do_not_hide_a_load():
    cells = [{"cell_type": "code", "source": ["%matplotlib inline\n", "import pickle\n", "!ls"]}]
    assert unsafe(notebook_source(json.dumps({"cells": cells}))) == ["2: pickle"]
