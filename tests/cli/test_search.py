"""Searching from the command line: refusals that write nothing, and a search of a model of raters' errors (one of
the U-Net is in test_train.py)."""

import json
import sqlite3

import pytest

from tests.cli.asking import ask, files_below, refused

REFUSALS = {
    "unknown dataset": (["--data", "lidc"], "dataset is 'lidc'"),
    "out is a file": (["--out", "notes.txt"], "study folder notes.txt is a file"),
    "out holds other files": (["--out", "."], "study folder . holds ['notes.txt']"),
    "unknown table": (["--set", "space.lr=1"], "no setting 'space'; wanted model.* or fit.* or search.*"),
    "unknown key": (["--set", "search.trials=3"], "search has no setting 'trials'"),
    "old layout": (["--set", "search.space.lr=[1,0.1]"], "search.space has no setting 'lr'; it has fit, model"),
    "no range": (["--set", "search.space.fit.lr=[1,0.1]"], "search.space.fit.lr is [1, 0.1]; wanted a table of set"),
    "half a range": (["--set", "search.space.fit.lr.low=1"], "search.space.fit.lr has low 1.0 and high None"),
    "no such setting": (
        ["--set", 'search.space.model.beta={"low":0,"high":1}'],
        "search.space.model.beta is no setting",
    ),
    "unknown model": (["--model", "vnet"], "model is 'vnet'"),
    "single raters": (["--model", "global-cm"], "global-cm, which follows single raters,"),
    "all is warm-up": (["--model", "stochastic-cm", "--set", "fit.epochs=1"], "a training has 1 steps and model.warm"),
    "larger distance": (["--set", "fit.goal.metric=ged2_v"], "wanted fit.goal.direction = minimize"),
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
    assert f"{setting.split('=')[0]} is what is searched; wanted its range in search.space." in refused(*words)
    assert list(here.iterdir()) == []


def test_a_search_of_drawn_annotators_on_planted_styles(here):
    """Raters who cannot be told apart, a space told as words, a goal without a truth, and a table that says so."""
    asked = [
        *(
            "search",
            "--model",
            "stochastic-cm",
            "--data",
            "planted-styles",
            "--limit",
            2,
            "--trials",
            2,
            "--out",
            "study",
        ),
        *(
            "--set",
            "model.width=2",
            "--set",
            "model.levels=1",
            "--set",
            "model.coder_width=2",
            "--set",
            "model.warm_up=0",
        ),
        *("--set", "fit.epochs=1", "--set", "fit.batch_size=1", "--set", "search.space.model.latent.choices=[2,3]"),
        *("--set", "search.space.model.beta.low=0.1", "--set", "search.space.model.beta.high=1"),
    ]
    answer = ask(*asked)
    assert answer.code == 0, answer
    assert "by GED², V (lower is better)" in answer.out
    assert "search model.beta, model.latent of stochastic-cm" in answer.out
    assert sorted(path.name for path in (here / "study").iterdir()) == [
        *("best.json", "study.db", "study.lock", "trials.json", "trials.svg"),
    ]
    rows = json.loads((here / "study" / "trials.json").read_text())
    assert [set(row["params"]) for row in rows] == [{"model.beta", "model.latent"}] * 2
    best = json.loads((here / "study" / "best.json").read_text())
    assert best["fit"]["goal"] == {"metric": "ged2_v", "direction": "minimize"}
    assert best["model"]["raters"] == 0
    store = ("--data", "planted-styles", "--limit", 2, "--config", "study/best.json")
    assert ask("train", "stochastic-cm", *store, "--out", "run").code == 0
    kept = json.loads((here / "run" / "passport.json").read_text())
    assert kept["kept"]["value"] == min(row["value"] for row in rows)
    assert "ged-squared-v/1" in kept["definitions"]
    with sqlite3.connect(here / "mlflow.db") as connection:
        params = dict(connection.execute("SELECT key, value FROM params"))
        scored = {key for (key,) in connection.execute("SELECT DISTINCT key FROM metrics")}
    connection.close()
    assert params["model.name"] == "stochastic-cm"
    assert "ged2_v" in scored
    assert not [name for name in scored if "truth" in name]
    more = json.loads((here / "study" / "trials.json").read_text())
    asked[asked.index("--trials") + 1] = 3
    assert ask(*asked).code == 0
    assert json.loads((here / "study" / "trials.json").read_text())[:2] == more
