"""Folders: refused when they hold something else or cannot be written."""

import pytest

from labutils.cli.runs import command_line, require_own_folder, require_writable
from labutils.core.checks import ConfigError


def test_a_new_or_empty_folder_is_good(tmp_path):
    require_own_folder(tmp_path / "a" / "b", "run folder", "run.json")
    require_own_folder(tmp_path, "run folder", "run.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_its_mark_is_good(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    require_own_folder(tmp_path, "run folder", "run.json")
    (tmp_path / "run.json").unlink()
    with pytest.raises(ConfigError, match=r"notes\.txt"):  # the mark alone made it good
        require_own_folder(tmp_path, "run folder", "run.json")


def test_what_a_killed_first_write_left_is_no_foreign_file(tmp_path):
    (tmp_path / ".run.json.abc.part").write_text("{")
    require_own_folder(tmp_path, "run folder", "run.json")
    (tmp_path / ".other.json.abc.part").write_text("{")
    with pytest.raises(ConfigError, match=r"other\.json"):
        require_own_folder(tmp_path, "run folder", "run.json")


def test_other_folders_are_refused(tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"run folder \S+ holds \['thesis.txt'\]"):
        require_own_folder(tmp_path, "run folder", "run.json")
    with pytest.raises(ConfigError, match="is a file; wanted a folder"):
        require_writable(tmp_path / "thesis.txt", "run folder")
    with pytest.raises(ConfigError, match=r"cannot be written: \S+thesis.txt allows no new files"):
        require_writable(tmp_path / "thesis.txt" / "run", "run folder")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match="allows no new files"):
        require_writable(tmp_path / "new", "run folder")


def test_the_command_hides_passwords():
    words = ["train", "unet", "--tracking", "postgresql://me:word@host/db"]
    assert command_line(words) == "labutils train unet --tracking postgresql://me:***@host/db"
