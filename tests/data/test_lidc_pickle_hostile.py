"""A hostile pickle runs nothing, leaves nothing behind, and gets one sentence."""

import codecs
import functools
import operator
import os
import pickle
import socket
import struct
import subprocess
import sys

import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.data import lidc_pickle
from labutils.data.lidc_pickle import CHILD, convert_pickle
from tests.data.pickles import SIZE, assert_refused, dump


class Calls:
    """Unpickles as the result of a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Changes:
    """Unpickles as an allowed name, with another state."""

    def __reduce__(self):
        return np.dtype, ("f8", False, True), {"code": "O"}


def reconstruct(*state):
    function, arguments, _ = np.zeros(3).__reduce__()
    return lambda: type("Array", (), {"__reduce__": lambda self: (function, arguments, state)})()


def bombs(canary):
    """Values that would leave a file behind, or do harm, if any of them ran."""
    touch = f"open({str(canary)!r}, 'w')"
    nested = pickle.dumps(Calls(os.system, f"touch {canary}"))
    objects = np.empty(1, dtype=object)
    objects[0] = Calls(os.system, f"touch {canary}")
    return {
        "shell": Calls(os.system, f"touch {canary}"),
        "process": Calls(subprocess.Popen, ["touch", str(canary)]),
        "eval": Calls(eval, touch),
        "exec": Calls(exec, touch),
        "open": Calls(open, str(canary), "w"),
        "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "attribute of a module": Calls(operator.attrgetter("system"), "os"),
        "method caller": Calls(operator.methodcaller("touch"), canary),
        "NumPy writes": Calls(np.save, str(canary), [1]),
        "NumPy maps": Calls(np.memmap, str(canary), "u1", "w+", 0, (9,)),
        "NumPy loads": Calls(np.load, str(canary), None, True),
        "NumPy converts": Calls(np.fromfunction, print, (1,)),
        "nested pickle": Calls(pickle.loads, nested),
        "object array": objects,
        "object array by hand": reconstruct(1, (1,), np.dtype("O"), False, [Calls(os.system, f"touch {canary}")])(),
        "array of records": np.zeros(2, [("a", "f8")]),
        "dates": np.zeros(2, "M8[s]"),
        "array by its type": Calls(np.ndarray, (1 << 40,), "u1"),
        "array of a huge shape": reconstruct(1, (1 << 40,), np.dtype("u1"), False, b"")(),
        "array of a negative shape": reconstruct(1, (-3,), np.dtype("u1"), False, b"12")(),
        "array with too few bytes": reconstruct(1, (SIZE, SIZE), np.dtype("u1"), False, b"12")(),
        "array with too short a state": reconstruct(1)(),
        "a changed type": Changes(),
        "codec": Calls(codecs.encode, "text", "rot13"),
        "a set of built-ins": Calls(vars, Calls(__import__, "os")),
        "a long chain": functools.reduce(lambda inner, _: Calls(len, inner), range(100), "x"),
    }


NAMES = tuple(bombs("canary"))


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_pickle_runs_nothing_and_leaves_nothing(tmp_path, pickled, name):
    canary = tmp_path / "canary"
    bomb = bombs(canary)[name]
    path = dump(tmp_path / "crops.pickle", dict(pickled) | {"bomb": {"image": bomb}})
    assert_refused(path, tmp_path)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_shell_is_refused_in_every_protocol(tmp_path, protocol):
    path = dump(tmp_path / "crops.pickle", Calls(os.system, f"touch {tmp_path / 'canary'}"), protocol)
    assert_refused(path, tmp_path, r"is not converted: it names 'posix\.system', which may run code")


HEAD, END = b"\x80\x04", b"."
RAW = {
    "empty": (b"", "damaged or no pickle of crops"),
    "text": (b"hello", "damaged or no pickle of crops"),
    "cut short": (HEAD + b"}", "damaged or no pickle of crops"),
    "persistent id": (b"Pelsewhere\n" + END, "refers to something outside itself"),
    "persistent id of protocol 2": (HEAD + b"Nq\x00Q" + END, "refers to something outside itself"),
    "registered extension": (HEAD + b"\x82\x01" + END, "damaged or no pickle of crops"),
    "buffer from outside": (b"\x80\x05\x97" + END, "damaged or no pickle of crops"),
    "a path through an allowed name": (HEAD + b"\x8c\x05numpy\x8c\x0dndarray.dumps\x93" + END, "names 'numpy.ndarray"),
    "instance of Python 2": (b"(ios\nsystem\n" + END, "names 'os.system'"),
    "object of Python 2": (b"(cos\nsystem\nS'true'\no" + END, "names 'os.system'"),
    "a state for an allowed name": (HEAD + b"cnumpy\ndtype\n}b" + END, "tries to change what it may only call"),
    "an object of an allowed name": (HEAD + b"cnumpy\ndtype\n)\x81" + END, "damaged or no pickle of crops"),
    "bytes of 32 TiB": (HEAD + b"\x8e" + struct.pack("<Q", 1 << 45) + END, "damaged|more memory"),
    "bytes of 3 GiB": (HEAD + b"\x8e" + struct.pack("<Q", 3 << 30) + END, "damaged|more memory"),
    "a memo of 32 GiB": (HEAD + b"}r" + struct.pack("<I", (1 << 31) - 1) + END, "more memory"),
    "a number of a million digits": (b"L" + b"9" * 1_000_000 + b"L\n" + END, "damaged or no pickle of crops"),
    "a list": (HEAD + b"]" + END, "it holds 'list'; wanted a table of crops"),
    "no crop": (HEAD + b"}" + END, "wanted a table of crops"),
    "two pickles": (HEAD + b"}N}s" + END + HEAD + b"}" + END, "goes on after its end"),
    "a table that holds itself": (HEAD + b"}q\x00Nh\x00s" + END, "crop None: wanted a table with image"),
    "deeply nested": (HEAD + b"]" * 200_000 + b"a" * 199_999 + END, "wanted a table of crops"),
}


@pytest.mark.parametrize("name", RAW)
def test_instructions_by_hand_are_refused(tmp_path, name):
    content, text = RAW[name]
    (tmp_path / "crops.pickle").write_bytes(content)
    assert_refused(tmp_path / "crops.pickle", tmp_path, text)


def test_secrets_of_the_environment_stay_outside(tmp_path, pickled, monkeypatch):
    """The program is replaced by one that writes down what it was given."""
    spy = tmp_path / "spy.py"
    spy.write_text("import json, os, sys\nprint(json.dumps({'fault': ' '.join([*sorted(os.environ), os.getcwd()])}))")
    monkeypatch.setattr(lidc_pickle, "CHILD", spy)
    monkeypatch.setenv("SECRET_TOKEN", "canary")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DataError) as caught:
        convert_pickle(dump(tmp_path / "crops.pickle", pickled), tmp_path / "out")
    text = str(caught.value)
    assert "SECRET" not in text
    assert "PYTHONPATH" not in text
    assert "OMP_NUM_THREADS" in text
    assert ".part/unpickled" in text


LIES = {
    "nothing": ("pass", "stopped with exit code 0"),
    "an exit code": ("import sys; sys.exit(3)", "stopped with exit code 3"),
    "a signal": ("import os; os.kill(os.getpid(), 11)", "stopped with exit code -11"),
    "another answer": ("print('[1]')", "stopped with exit code 0"),
    "control characters": ("""print('{"fault": "a\\\\u001b[2Jb"}')""", r"a\\x1b\[2Jb"),
    "an array of objects": (
        "import numpy; numpy.save('images.npy', numpy.array([{}], object)); {rest}",
        "images.npy of the conversion is not a readable array",
    ),
    "another type": ("import numpy; numpy.save('images.npy', numpy.zeros((1, 128, 128))); {rest}", "is float64"),
    "another number": (
        "import numpy; numpy.save('images.npy', numpy.zeros((2, 128, 128), 'u1')); {rest}",
        r"wanted uint8 \(1, 128, 128\)",
    ),
    "masks of 2": (
        "import numpy; numpy.save('images.npy', numpy.zeros((1, 128, 128), 'u1'));"
        "numpy.save('masks.npy', numpy.full((1, 4, 128, 128), 2, 'u1')); {rest}",
        "masks with values besides 0 and 1",
    ),
}
REST = """open('ids.json', 'w').write('[["a", "1.2"]]'); print('{"done": true}')"""


@pytest.mark.parametrize("lie", LIES)
def test_the_program_is_not_believed(tmp_path, pickled, monkeypatch, lie):
    source, text = LIES[lie]
    (tmp_path / "liar.py").write_text(source.replace("{rest}", REST))
    monkeypatch.setattr(lidc_pickle, "CHILD", tmp_path / "liar.py")
    path = dump(tmp_path / "crops.pickle", pickled)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(DataError, match=text):
        convert_pickle(path, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == before


SECOND_WALL = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("child", {child!r})
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)
import builtins, os, socket, subprocess
for module, name in [(os, "system"), (builtins, "open"), (os, "fork"), (os, "open"), (socket, "socket"),
                     (subprocess, "Popen"), (builtins, "exec")]:
    function = getattr(module, name)
    child.STANDS[function.__module__, name] = child.STANDS[module.__name__, name] = child.Stand(function)
child.main()
"""


@pytest.mark.parametrize(
    "call",
    [
        lambda canary: Calls(os.system, f"touch {canary}"),
        lambda canary: Calls(open, str(canary), "w"),
        lambda canary: Calls(os.open, str(canary), os.O_CREAT | os.O_WRONLY),
        lambda canary: Calls(subprocess.Popen, ["/usr/bin/touch", str(canary)]),
        lambda canary: Calls(exec, f"open({str(canary)!r}, 'w')"),
        lambda canary: Calls(os.fork),
        lambda canary: Calls(socket.socket),
    ],
    ids=["shell", "file", "descriptor", "process", "code", "fork", "socket"],
)
def test_even_a_name_that_slipped_through_could_do_nothing(tmp_path, monkeypatch, call):
    """The first wall is taken down for one name; the rights that were given up still hold."""
    (tmp_path / "open_door.py").write_text(SECOND_WALL.format(child=str(CHILD)))
    monkeypatch.setattr(lidc_pickle, "CHILD", tmp_path / "open_door.py")
    path = dump(tmp_path / "crops.pickle", call(tmp_path / "canary"))
    assert_refused(path, tmp_path, "it asks for (os|open|subprocess|socket|exec|compile)")


def test_the_reader_runs_apart_from_the_package():
    source = CHILD.read_text(encoding="utf-8")
    assert "import labutils" not in source
    assert "from labutils" not in source
    done = subprocess.run([sys.executable, "-I", str(CHILD)], capture_output=True, check=False)
    assert done.returncode != 0
