"""Training from the command line: a whole run folder, going on after a stop, and refusals that write nothing."""

import errno
import json
import shutil
import sqlite3
import types

import pytest

import labutils
from labutils.cli import train as command
from labutils.core.checks import NumericsError
from labutils.core.files import only_one
from labutils.evaluation.passport import check_passport
from labutils.training.tensors import content_hash
from tests.cli.asking import SMALL, ask, files_below, refused


def words(crops, out, *more):
    return ("train", "unet", "--data", "lidc-crops", "--root", crops, "--out", out, *SMALL, *more)


def passport_of(run):
    return json.loads((run / "passport.json").read_text())


def test_a_run_folder_is_whole(trained):
    run, answer = trained
    assert {path.name for path in run.iterdir()} == {
        *(
            "run.json",
            "passport.json",
            "weights.safetensors",
            "cases.json",
            "history.json",
            "curves.svg",
            "pictures",
            ".run.json.lock",
        ),
        *("checkpoint.safetensors", "checkpoint.previous.safetensors"),
    }
    assert sorted(path.name for path in (run / "pictures").iterdir()) == ["epoch-0001.png", "epoch-0002.png"]
    assert "learn from 12 cases of 6 patients from lidc-crops/train; choose on 6 cases of 3 patients" in answer.out
    assert "1,694 parameters, about" in answer.out
    assert "MiB" in answer.out
    assert "step" in answer.err  # the progress bar


def test_what_was_asked_for_is_kept(trained, crops):
    asked = json.loads((trained[0] / "run.json").read_text())
    assert asked["model"] == "unet"
    assert asked["settings"]["width"] == 4
    assert asked["fit"]["epochs"] == 2
    assert asked["data"]["root"] == str(crops)
    assert [part["patients"] for part in asked["data"]["splits"]] == [6, 3]
    assert asked["versions"]["labutils"] == labutils.__version__
    assert asked["command"].startswith("labutils")


def test_the_passport_is_that_of_the_weights(trained):
    run, answer = trained
    passport = passport_of(run)
    check_passport(passport, "the run")
    assert passport["weights_sha256"] == content_hash(labutils.load(run).state_dict())
    history = json.loads((run / "history.json").read_text())
    kept = passport["kept"]
    assert kept["value"] == max(row["dice"] for row in history) == history[kept["epoch"] - 1]["dice"]
    assert f"best epoch {kept['epoch']} of 2: dice {kept['value']:.4f}" in answer.out


def test_a_stopped_run_goes_on_to_the_same_weights(trained, crops, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(command.Curves, "on_epoch", stop)
        answer = ask(*words(crops, run, "--set", "fit.epochs=2"))
    assert answer.code == 130
    assert (run / "checkpoint.safetensors").exists()
    assert not (run / "passport.json").exists()
    before = (run / "run.json").read_bytes()
    assert ask(*words(crops, run, "--set", "fit.epochs=2")).code == 0
    assert (run / "run.json").read_bytes() == before
    assert passport_of(run)["weights_sha256"] == passport_of(trained[0])["weights_sha256"]


def test_a_finished_run_is_told_again_and_left_alone(trained, crops):
    run, first = trained
    before = files_below(run)
    answer = ask(*words(crops, run, "--set", "fit.epochs=2"))
    assert answer.code == 0
    assert "finished already" in answer.out
    assert answer.out.splitlines()[-1] == first.out.splitlines()[-1]
    assert files_below(run) == before


def test_other_settings_do_not_touch_a_run(trained, crops):
    run, _ = trained
    before = files_below(run)
    assert "fit.epochs = 2, not 3" in refused(*words(crops, run, "--set", "fit.epochs=3"))
    assert "data.split 0" in refused(*words(crops, run, "--set", "fit.epochs=2", "--limit", 4))
    assert files_below(run) == before


def test_weights_that_are_not_the_passport_s_are_noticed(trained, crops, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    (run / "passport.json").write_text(json.dumps(passport_of(run) | {"weights_sha256": "0" * 64}))
    assert "holds other weights than" in refused(*words(crops, run, "--set", "fit.epochs=2"))


def test_settings_come_from_a_file_and_the_data_from_the_environment(crops, here, monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", str(crops))
    settings = '[model]\nwidth = 2\nlevels = 1\n[fit]\nepochs = 1\nkeep = "last"\n[fit.goal]\nmetric = "iou"\n'
    (here / "run.toml").write_text(settings)
    answer = ask("train", "unet", "--data", "lidc-crops", "--config", "run.toml", "--out", "run", "--limit", 4)
    assert answer.code == 0
    assert "last epoch 1 of 1: iou" in answer.out


@pytest.mark.parametrize(
    ("model", "data", "told"),
    [("global-cm", "planted-shared", 1), ("global-cm", "planted-global", 0), ("unet", "planted-shared", 0)],
)
def test_a_truth_that_is_not_identified_is_noted(model, data, told, tmp_path):
    """Before a network that learns raters' errors is trained, and in its run folder."""
    run = tmp_path / "run"
    words = ("train", model, "--data", data, "--out", run, *SMALL, "--set", "fit.epochs=1", "--limit", 4)
    answer = ask(*words, *(() if model == "unet" else ("--set", "model.warm_up=0")))
    assert answer.code == 0
    notes = [line for line in answer.out.splitlines() if line.startswith("note: the truth is not identified: ")]
    assert len(notes) == told
    assert [f"note: {note}" for note in json.loads((run / "run.json").read_text())["notes"]] == notes


REFUSALS = {
    "unknown model": (["train", "vnet", "--data", "lidc-crops", "--out", "run"], "model is 'vnet'"),
    "unknown dataset": (["train", "unet", "--data", "lidc", "--out", "run"], "dataset is 'lidc'"),
    "no data": (["train", "unet", "--data", "lidc-crops", "--out", "run"], "LABUTILS_DATA is not set"),
    "out is a file": (["--out", "notes.txt"], "run folder notes.txt is a file"),
    "out below a file": (["--out", "notes.txt/run"], "allows no new files"),
    "out holds other files": (["--out", "."], "holds ['notes.txt']"),
    "unknown table": (["--set", "lr=1"], "no setting 'lr'"),
    "unknown key": (["--set", "fit.learning_rate=1"], "fit has no setting 'learning_rate'"),
    "unknown model key": (["--set", "model.depth=1"], "model has no setting 'depth'"),
    "wrong type": (["--set", "fit.lr=fast"], "fit.lr is 'fast'; wanted a number"),
    "out of range": (["--set", "fit.epochs=0"], "fit.epochs is 0"),
    "not an assignment": (["--set", "fit.lr"], "cannot read the setting 'fit.lr'"),
    "no such file of settings": (["--config", "gone.json"], "gone.json cannot be read"),
    "settings of another kind": (["--config", "notes.txt"], "wanted .json or .toml"),
    "device": (["--device", "tpux"], "device 'tpux' is not a device name"),
    "goal": (["--set", "fit.goal.metric=dise"], "fit.goal.metric is 'dise'; wanted one of dice, ged2_v, iou"),
    "channels": (["--set", "model.channels=3"], "the network has 3 channels and lidc-crops/train has 1"),
    "folder is gone": (["--root", "gone"], "gone is not a folder"),
    "folder inside the dataset": (["--root", "CROPS/train"], "looks like a folder inside the dataset"),
    "folder of something else": (["--root", "."], "is not the dataset's folder"),
    "tracking address": (["--tracking", "ftp://host"], "kind of tracking address is 'ftp'"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_done_is_told_and_nothing_is_written(case, crops, here):
    given, sentence = REFUSALS[case]
    (here / "notes.txt").write_text("mine")
    before = files_below(here)
    given = [word.replace("CROPS", str(crops)) for word in given]
    if given[0] != "train":
        given = [*words(crops, "run"), *given]
    assert sentence in refused(*given)
    assert files_below(here) == before


def test_a_full_disk_is_told(crops, tmp_path, monkeypatch):
    def full(path, _):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(command, "write_json", full)
    sentence = refused(*words(crops, tmp_path / "run", "--set", "fit.epochs=1"))
    assert "run.json cannot be used: No space left on device" in sentence


def test_a_loss_that_is_not_finite_is_told(crops, tmp_path, monkeypatch):
    def diverge(*_, **__):
        raise NumericsError("the loss term 'cross_entropy' is nan at step 7")

    monkeypatch.setattr(command, "fit", diverge)
    answer = ask(*words(crops, tmp_path / "run"))
    assert (answer.code, answer.err) == (2, "labutils: the loss term 'cross_entropy' is nan at step 7\n")


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_goal_that_is_never_defined_is_told(crops, tmp_path, monkeypatch, value):
    monkeypatch.setattr(command, "fit", lambda *_, **__: types.SimpleNamespace(best=value))
    assert "dice is undefined" in refused(*words(crops, tmp_path / "run"))
    assert not (tmp_path / "run" / "passport.json").exists()


def statuses(database):
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT run_uuid, status FROM runs").fetchall()
    connection.close()
    return rows


def test_track_keeps_the_run_and_goes_on_with_it_and_search_uses_the_same_store(crops, here, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    asked = words(crops, "runs/first", "--set", "fit.epochs=2", "--track")
    with monkeypatch.context() as patch:
        patch.setattr(command.Curves, "on_epoch", stop)
        assert ask(*asked).code == 130
    (run, status), *others = statuses(here / "runs" / "mlflow.db")
    assert (status, others) == ("KILLED", [])
    assert ask(*asked).code == 0
    assert statuses(here / "runs" / "mlflow.db") == [(run, "FINISHED")]
    (passport,) = (here / "runs" / "mlflow-artifacts").rglob("passport.json")
    assert json.loads(passport.read_text()) == passport_of(here / "runs" / "first")
    with sqlite3.connect(here / "runs" / "mlflow.db") as connection:
        curve = connection.execute("SELECT step FROM metrics WHERE key = 'dice' ORDER BY step").fetchall()
        params = dict(connection.execute("SELECT key, value FROM params"))
    connection.close()
    assert curve == [(1,), (2,)]
    assert (params["model.width"], params["fit.epochs"]) == ("4", "2")
    answer = ask(
        *("search", "--data", "lidc-crops", "--root", crops, "--out", "runs/study", "--trials", 1),
        *("--set", "model.levels=2", "--set", "fit.epochs=1", "--set", "search.space.model.width.choices=[2]"),
    )
    assert answer.code == 0, answer
    assert [status for _, status in statuses(here / "runs" / "mlflow.db")] == ["FINISHED"] * 3
    best = json.loads((here / "runs" / "study" / "best.json").read_text())
    assert best["model"]["width"] == 2
    again = ask(*words(crops, "runs/best")[:8], "--config", "runs/study/best.json")
    assert again.code == 0, again
    value = json.loads((here / "runs" / "study" / "trials.json").read_text())[0]["value"]
    assert passport_of(here / "runs" / "best")["kept"]["value"] == value
    assert [path.name for path in here.iterdir()] == ["runs"]


def test_two_trainings_do_not_share_a_folder(crops, here):
    (here / "run").mkdir()
    with only_one(here / "run" / ".run.json.lock", "held by the test"):
        sentence = refused(
            "train", "unet", "--data", "lidc-crops", "--root", crops, "--out", "run", *SMALL, "--set", "fit.epochs=1"
        )
    assert "another training is running in run" in sentence
    assert [path.name for path in (here / "run").iterdir()] == [".run.json.lock"]
