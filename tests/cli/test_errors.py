"""Whatever goes wrong becomes one sentence and an exit code; a fault of ours keeps its traceback."""

import errno
import subprocess
import sys

import pytest
import torch

from labutils.cli import main
from labutils.core.checks import DataError
from tests.cli.asking import ask, refused


@pytest.fixture
def broken(monkeypatch):
    """Makes ``labutils doctor`` raise an error."""
    from labutils.cli import doctor

    def plant(error):
        def fail(**_):
            raise error

        monkeypatch.setattr(doctor, "doctor", fail)

    return plant


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DataError("the file\nis damaged"), "labutils: the file is damaged\n"),
        (OSError(errno.ENOSPC, "No space left on device", "run.json"), "run.json cannot be used: No space left"),
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b cannot be used: Permission denied"),
        (OSError("strange"), "a file cannot be used: strange"),
        (DataError("x\x1b[2J\x1b]0;title\x07.png is damaged"), r"labutils: x\x1b[2J\x1b]0;title\x07.png is damaged"),
        (OSError(errno.EIO, "Input/output error", "a\u202egnp.exe"), r"labutils: a\u202egnp.exe cannot be used"),
        (DataError("\udcff \x9b31m \u200b \x7f"), "labutils: \\udcff \\x9b31m \\u200b \\x7f\n"),
        (DataError(r"C:\new 'naïve' 5 µm 日本 is damaged"), r"labutils: C:\new 'naïve' 5 µm 日本 is damaged"),
        (MemoryError(), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "fit.batch_size"),
    ],
)
def test_what_a_person_can_meet_is_one_sentence(broken, error, sentence):
    broken(error)
    assert sentence in refused("doctor")


def test_ctrl_c_leaves_with_130(broken):
    broken(KeyboardInterrupt())
    answer = ask("doctor")
    assert (answer.code, answer.err) == (130, "labutils: stopped; what was checkpointed is kept\n")


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ZeroDivisionError("a bug")])
def test_a_fault_of_ours_is_not_hidden(broken, error):
    broken(error)
    with pytest.raises(type(error), match="a bug"):
        ask("doctor")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Missing command (see labutils --help)"),
        (("tran",), "No such command 'tran'"),
        (("train",), "Missing argument"),
        (("train", "unet", "--data"), "--data"),
        (("train", "unet", "--data", "x", "--out", "y", "--epochs", "3"), "No such option: --epochs"),
        (("train", "unet", "--data", "x", "--out", "y", "--limit", "0"), "--limit"),
        (("train", "unet", "--data", "x", "--out", "y", "--limit", "few"), "Invalid value for '--limit'"),
        (("evaluate", "run", "--data", "x", "--split", "y", "--json", "z", "--samples", "0"), "--samples"),
        (("search", "--data", "x", "--trials", "0", "--out", "y"), "--trials"),
    ],
)
def test_a_misspelled_command_is_one_sentence(here, words, sentence):
    assert sentence in refused(*words)
    assert list(here.iterdir()) == []


def test_the_entry_point_leaves_with_the_code_and_one_line():
    code = f"import sys; from {main.__name__} import run; sys.argv = ['labutils', 'train', 'unet']; run()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "labutils: Missing option '--data' (see labutils train --help)\n"
