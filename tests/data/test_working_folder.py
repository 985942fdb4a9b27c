"""A folder is filled beside its place, goes on after a stop, and stays as it was until the work is whole."""

import os

import pytest

from labutils.core.checks import DataError
from labutils.data import working_folder as module
from labutils.data.working_folder import open_working, publish, require_same_settings, working_folder

ONE, TWO = {"size": 1, "split": {"a": ["p"]}}, {"size": 2, "split": {"a": ["p"]}}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def filled(out, **files):
    working = open_working(out, ONE)
    for name, text in files.items():
        (working / name).unlink(missing_ok=True)
        (working / name).write_text(text)
    return working


def test_a_new_folder_appears_when_it_is_published(out):
    filled(out, a="1")
    assert not out.exists()
    publish(out)
    assert (out / "a").read_text() == "1"
    assert os.listdir(out.parent) == ["out"]


def test_work_goes_on_where_it_stopped(out):
    filled(out, a="1")
    assert (open_working(out, ONE) / "a").read_text() == "1"


@pytest.mark.parametrize("links", [True, False])
def test_a_published_folder_is_whole_until_the_next_one_is(out, links, monkeypatch):
    if not links:
        monkeypatch.setattr(module.os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    filled(out, a="1", b="1")
    publish(out)
    filled(out, a="2")
    assert [(out / name).read_text() for name in "ab"] == ["1", "1"]
    publish(out)
    assert [(out / name).read_text() for name in "ab"] == ["2", "1"]
    assert os.listdir(out.parent) == ["out"]


def test_a_stop_while_a_folder_is_opened_leaves_no_half_copy(out, monkeypatch):
    filled(out, a="1")
    publish(out)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.shutil, "copytree", stop)
    with pytest.raises(KeyboardInterrupt):
        open_working(out, ONE)
    assert not working_folder(out).exists()
    assert (out / "a").read_text() == "1"


def test_other_settings_are_refused_and_named(out):
    require_same_settings(out, ONE)
    filled(out)
    require_same_settings(out, ONE)
    with pytest.raises(DataError, match=r"out\.unfinished was prepared with other settings \(size = 1, not 2\)"):
        require_same_settings(out, TWO)
    with pytest.raises(DataError, match="patients are split in another way"):
        require_same_settings(out, ONE | {"split": {"a": ["q"]}})


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_something_else_is_left_alone(out, kind):
    if kind == "link":
        os.symlink("nowhere", out)
    else:
        out.write_text("mine") if kind == "file" else out.mkdir()
    with pytest.raises(DataError, match="exists and was not prepared here"):
        require_same_settings(out, ONE)
    assert os.listdir(out.parent) == ["out"]
