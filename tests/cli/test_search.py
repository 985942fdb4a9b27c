"""Searching from the command line: refusals that write nothing (a whole search is in test_train.py)."""

import pytest

from tests.cli.asking import files_below, refused

REFUSALS = {
    "unknown dataset": (["--data", "lidc"], "dataset is 'lidc'"),
    "out is a file": (["--out", "notes.txt"], "study folder notes.txt is a file"),
    "out holds other files": (["--out", "."], "study folder . holds ['notes.txt']"),
    "unknown table": (["--set", "space.lr=1"], "no setting 'space'; wanted model.* or fit.* or search.*"),
    "unknown key": (["--set", "search.trials=3"], "search has no setting 'trials'"),
    "empty range": (["--set", "search.space.lr=[1,0.1]"], "wanted a range above 0"),
    "goal": (["--set", "fit.goal.metric=dise"], "fit.goal.metric is 'dise'"),
    "folder is gone": (["--root", "gone"], "gone is not a folder"),
    "tracking address": (["--tracking", "ftp://host"], "kind of tracking address is 'ftp'"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_done_is_told_and_nothing_is_written(case, crops, here):
    given, sentence = REFUSALS[case]
    (here / "notes.txt").write_text("mine")
    before = files_below(here)
    asked = ("search", "--data", "lidc-crops", "--root", crops, "--trials", 1, "--out", "study")
    assert sentence in refused(*asked, *given)
    assert files_below(here) == before


@pytest.mark.parametrize("setting", ["model.width=4", "fit.lr=0.1"])
def test_what_is_searched_cannot_be_set(crops, here, setting):
    words = ("search", "--data", "lidc-crops", "--root", crops, "--out", "study", "--trials", 1, "--set", setting)
    assert "is what is searched; wanted its range in search.space" in refused(*words)
    assert list(here.iterdir()) == []
