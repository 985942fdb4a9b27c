"""Help, version, notice, and nothing heavy before a command is known."""

import subprocess
import sys

import pytest

import labutils
from labutils.core.notice import RESEARCH_USE
from tests.cli.asking import ask

HEAVY = {"torch", "numpy", "scipy", "cv2", "mlflow", "optuna", "matplotlib", "pylidc", "sqlalchemy"}


def test_the_version_is_told():
    assert ask("--version").out == f"labutils {labutils.__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["evaluate", "-h"], ["search", "-h"]])
def test_help_carries_the_notice(words):
    answer = ask(*words)
    assert answer.code == 0
    assert RESEARCH_USE in " ".join(answer.out.split())


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_imports_nothing_heavy(words):
    code = (
        f"import sys; from labutils.cli.main import app\n"
        f"try: app({words}, prog_name='labutils')\n"
        f"finally: print(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: labutils" in done.stdout
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert not HEAVY & loaded
