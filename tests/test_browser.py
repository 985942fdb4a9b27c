"""The browser of the book: which is taken, how it starts, and what the commands that use it say without one."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from book.browser import NoBrowserError, find_browser, options, run_on_book


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A computer without a browser; programs can be put into the folder it gives, which is its whole path."""
    monkeypatch.delenv("LABUTILS_BROWSER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("book.browser.PLACES", ())
    return tmp_path


def program(folder, name):
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def playwright_with(path):
    return SimpleNamespace(chromium=SimpleNamespace(executable_path=os.fspath(path)))


def test_browsers_are_taken_in_order(bare, monkeypatch):
    playwright = playwright_with(program(bare, "own"))
    assert find_browser(playwright) == bare / "own"
    assert find_browser(playwright_with(program(bare, "google-chrome"))) == bare / "google-chrome"
    program(bare, "chromium")
    assert find_browser(playwright) == bare / "chromium"
    monkeypatch.setenv("LABUTILS_BROWSER", str(program(bare, "mine")))
    assert find_browser(playwright) == bare / "mine"


def test_without_a_browser_one_sentence_says_what_to_do(bare, monkeypatch):
    with pytest.raises(NoBrowserError, match="install chromium or google-chrome, or run 'playwright install chromium'"):
        find_browser(playwright_with(bare / "missing"))
    monkeypatch.setenv("LABUTILS_BROWSER", "firefly")
    program(bare, "chromium")
    with pytest.raises(NoBrowserError, match="LABUTILS_BROWSER is firefly, which is no program"):
        find_browser(playwright_with(bare / "missing"))


@pytest.mark.parametrize(("user", "ci", "sandbox"), [(1000, "", True), (1000, "true", False), (0, "", False)])
def test_the_sandbox_is_given_up_only_where_there_is_none(monkeypatch, user, ci, sandbox):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("CI", ci)
    assert ("--no-sandbox" not in options()) == sandbox
    assert "--disable-background-networking" in options()


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Runs the command "make" on an empty folder, whose pages are current or not."""

    def run(make, current=True):
        monkeypatch.setattr(sys, "argv", ["make", "--root", str(tmp_path)])
        monkeypatch.setattr("book.browser.is_current", lambda root: current and root == tmp_path)
        return run_on_book("make", "what it does", make)

    return run


def test_a_command_says_where_the_file_is(asked, tmp_path, capsys):
    assert asked(lambda root: root / "book.pdf") == 0
    assert capsys.readouterr().out == f"make: open {tmp_path / 'book.pdf'}\n"


def test_old_pages_are_not_used(asked, capsys):
    assert asked(None, current=False) == 1
    assert "run 'make book' first" in capsys.readouterr().err


def test_a_command_without_a_browser_says_so(asked, capsys):
    def make(root):
        raise NoBrowserError("none")

    assert asked(make) == 1
    assert capsys.readouterr().err == "make: none\n"
