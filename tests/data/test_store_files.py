"""A store on disk is whole or absent, says what is wrong with it, and costs the same for each case at any size."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import DataError
from labutils.data import store as store_module
from labutils.data.store import open_store, write_store


@pytest.fixture
def folder(tmp_path, toy_store):
    write_store(tmp_path / "toy", toy_store(truth=True))
    return tmp_path / "toy"


@pytest.mark.parametrize("settings", [{}, {"truth": True}, {"raters": 300}, {"size": (1, 1)}, {"channels": 3}])
def test_a_store_comes_back_from_disk(tmp_path, toy_store, settings):
    store = toy_store(**settings)
    write_store(tmp_path / "a" / "toy", store)
    back = open_store(tmp_path / "a" / "toy", verify=True)
    for name in ("image", "masks", "present", "truth", "spacing_mm"):
        np.testing.assert_array_equal(getattr(back, name), getattr(store, name))
    for name in ("patients", "cases", "card", "split", "source", "manifest"):
        assert getattr(back, name) == getattr(store, name)


def test_images_and_masks_are_mapped_not_read(folder):
    store = open_store(folder)
    for array in (store.image, store.masks, store.truth):
        assert isinstance(array.base, np.memmap)
    assert type(store.image) is np.ndarray


def test_what_a_caller_writes_into_an_array_never_reaches_the_file(folder):
    open_store(folder).image[:] = 0.25
    assert open_store(folder, verify=True).image.std() > 0
    torch.from_numpy(open_store(folder).image)  # a read-only array would warn here


def test_a_subset_of_an_opened_store_counts_its_own_manifest(folder, toy_store):
    assert open_store(folder).subset([1, 4]).manifest == toy_store(truth=True).subset([4, 1]).manifest


def test_writing_again_replaces_the_store(folder, toy_store):
    old = open_store(folder)
    write_store(folder, toy_store(3))
    assert len(open_store(folder, verify=True)) == 3
    assert old[6].case == "c6"  # a reader of the earlier store keeps it
    assert os.listdir(folder.parent) == ["toy"]


def test_a_folder_with_other_files_is_left_alone(tmp_path, toy_store):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(DataError, match=r"notes\.txt.*choose another folder"):
        write_store(tmp_path / "mine", toy_store())
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep me"
    assert os.listdir(tmp_path) == ["mine"]


def edit_index(folder, change):
    index = json.loads((folder / "index.json").read_text())
    change(index)
    (folder / "index.json").write_text(json.dumps(index))


def save(folder, name, array):
    np.save(folder / f"{name}.npy", array)
    size = (folder / f"{name}.npy").stat().st_size
    edit_index(folder, lambda index: index["arrays"][name].update(bytes=size))


def cut(path, keep):
    with open(path, "r+b") as stream:
        stream.truncate(keep)


DAMAGES = {
    "no folder": (lambda f: shutil.rmtree(f), "has no index.json"),
    "no index": (lambda f: (f / "index.json").unlink(), "has no index.json"),
    "no array": (lambda f: (f / "masks.npy").unlink(), r"masks\.npy is missing"),
    "array cut short": (lambda f: cut(f / "image.npy", 500), r"image\.npy has 500 bytes; the index says 968"),
    "array empty": (lambda f: cut(f / "image.npy", 0), r"image\.npy has 0 bytes"),
    "array no array": (lambda f: (f / "image.npy").write_bytes(b"x" * 968), r"image\.npy is not a readable array"),
    "other dtype": (lambda f: save(f, "image", np.zeros((7, 1, 6, 5))), "holds float64; wanted float32"),
    "objects": (lambda f: save(f, "masks", np.array([None] * 4)), "not a readable array"),
    "other shape": (lambda f: save(f, "masks", np.zeros((7, 3, 5, 6), np.uint8)), r"\(7, 3, 5, 6\); the index says"),
    "index cut short": (lambda f: cut(f / "index.json", 40), "is not valid JSON"),
    "index no table": (lambda f: (f / "index.json").write_text("[1]"), "holds no table"),
    "index of tomorrow": (lambda f: edit_index(f, lambda i: i.update(version=99)), "has version 99; wanted 1"),
    "no card": (lambda f: edit_index(f, lambda i: i.pop("card")), "does not describe a store"),
    "odd card": (lambda f: edit_index(f, lambda i: i["card"].update(color=1)), "card has no setting 'color'"),
    "patients lost": (lambda f: edit_index(f, lambda i: i["patients"].pop()), "6 patients for 7 cases"),
    "image lost": (lambda f: edit_index(f, lambda i: i["arrays"].pop("image")), "does not describe a store"),
    "no sizes": (lambda f: edit_index(f, lambda i: i["arrays"].update(image=3)), "does not describe a store"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_gets_one_sentence(folder, damage):
    change, text = DAMAGES[damage]
    change(folder)
    with pytest.raises(DataError, match=text) as caught:
        open_store(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_changed_bytes_are_found_when_asked(folder):
    with open(folder / "image.npy", "r+b") as stream:
        stream.seek(200)
        stream.write(b"\x01")
    open_store(folder)
    with pytest.raises(DataError, match="has changed since it was written"):
        open_store(folder, verify=True)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_garbled_index_never_escapes_the_typed_errors(tmp_path_factory, toy_store, data):
    folder = tmp_path_factory.getbasetemp() / "garbled" / "toy"
    if not folder.exists():
        write_store(folder, toy_store(2))
        shutil.copy(folder / "index.json", folder.parent / "good.json")
    text = bytearray((folder.parent / "good.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    (folder / "index.json").write_bytes(text)
    with contextlib.suppress(DataError):
        open_store(folder)


@pytest.mark.parametrize("failing", range(5))
def test_a_full_disk_leaves_the_earlier_store(folder, toy_store, monkeypatch, failing):
    calls = iter(range(100))
    whole = store_module._write_array

    def full(path, array):
        if next(calls) == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, array)

    monkeypatch.setattr(store_module, "_write_array", full)
    before = open_store(folder).manifest
    for target in (folder, folder.parent / "new"):
        calls = iter(range(100))
        with pytest.raises(OSError, match="No space"):
            write_store(target, toy_store(3, truth=True))
    assert open_store(folder, verify=True).manifest == before
    assert os.listdir(folder.parent) == ["toy"]


KILLED = """
import os, sys, time
import numpy as np
from labutils.data import store
whole = store._write_array
def slow(path, array):
    entry = whole(path, array)
    print(path.name, flush=True)
    time.sleep(0.5)
    return entry
source = store.open_store(sys.argv[1])
store._write_array = slow
store.write_store(sys.argv[2], source)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", ["image.npy", "truth.npy", "spacing_mm.npy"])
def test_a_writer_killed_half_way_leaves_nothing_that_opens(folder, tmp_path, after):
    target = tmp_path / "killed"
    with subprocess.Popen([sys.executable, "-c", KILLED, folder, target], stdout=subprocess.PIPE, text=True) as writer:
        while writer.stdout.readline().strip() not in (after, ""):
            pass
        os.kill(writer.pid, signal.SIGKILL)
    assert not target.exists()
    with pytest.raises(DataError, match=r"has no index\.json"):
        open_store(target)
    for left in tmp_path.glob(".killed.*.part"):
        with pytest.raises(DataError):
            open_store(left)


@pytest.fixture(scope="module")
def file_events():
    """Counts what Python opens or lists while it is on; an audit hook cannot be taken away, so it is switched."""
    state = {"on": False, "events": []}

    def hook(event, arguments):
        if state["on"] and event in ("open", "os.listdir", "os.scandir", "mmap.__new__", "os.stat"):
            state["events"].append((event, arguments))

    sys.addaudithook(hook)

    @contextlib.contextmanager
    def counting():
        state["events"], state["on"] = [], True
        try:
            yield state["events"]
        finally:
            state["on"] = False

    return counting


def test_no_file_is_opened_or_listed_per_case(folder, file_events):
    store = open_store(folder)
    with file_events() as events:
        for i in range(len(store)):
            store[i]
            store.batch([i, 0])
    assert events == []
    with file_events() as events:
        open_store(folder)
    assert len(events) >= 6  # the hook does see files: five arrays and the index


def test_opening_touches_as_many_files_whatever_the_number_of_cases(tmp_path, toy_store, file_events):
    counts = []
    for n in (10, 1000):
        write_store(tmp_path / str(n), toy_store(n, size=(2, 2)))
        with file_events() as events:
            open_store(tmp_path / str(n))
        counts.append(len(events))
    assert counts[0] == counts[1]
