"""Models, training and evaluation import with the light core alone, and `import labutils` costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hide import HIDE

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("core", "scale", "metrics", "consensus", "geometry", "losses", "models", "data", "training", "evaluation")

# Runs in a child, after what is not in the light core is hidden: imports what it is given.
REPORT = """
failures = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except Exception as error:
        failures[name] = f"{type(error).__name__}: {error}"
print(json.dumps({"failures": failures, "hidden": sorted(hidden)}))
"""


def modules_of(room: str) -> list[str]:
    """Every module of a room, a file or a folder, as a dotted name."""
    files = [*sorted((ROOT / "labutils" / room).rglob("*.py")), ROOT / "labutils" / f"{room}.py"]
    dotted = [file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for file in files if file.exists()]
    return [name.removesuffix(".__init__") for name in dotted]


def child(*arguments: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def blocked():
    names = [name for room in ROOMS for name in modules_of(room)]
    planted = ["optuna", "mlflow", "pylidc", "matplotlib", "sklearn", "joblib", "tifffile"]
    return json.loads(child(HIDE + REPORT, json.dumps(planted + names))), names, planted


def test_light_rooms_import_on_the_light_core(blocked):
    report, names, planted = blocked
    assert len(names) > 5
    assert {name: text for name, text in report["failures"].items() if name not in planted} == {}


def test_everything_else_is_really_hidden(blocked):
    report, _, planted = blocked
    assert set(planted) <= set(report["failures"])
    assert {"matplotlib", "pylidc", "ipywidgets"} <= set(report["hidden"])


def test_the_package_itself_imports_nothing_heavy():
    loaded = child("import sys, labutils; print(' '.join({name.split('.')[0] for name in sys.modules}))").split()
    assert "labutils" in loaded
    assert not {"torch", "numpy", "scipy", "cv2", "mlflow", "optuna", "matplotlib"} & set(loaded)


def test_the_package_itself_imports_in_a_tenth_of_a_second():
    timer = "import time; start = time.perf_counter(); import labutils; print(time.perf_counter() - start)"
    assert min(float(child(timer)) for _ in range(5)) < 0.1
