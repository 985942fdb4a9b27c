"""A study: one goal everywhere, trials and runs one to one, stopped and failed trials kept, gone on with when asked."""

import json
import os
import types
from pathlib import Path
from urllib.parse import urlsplit

import optuna
import pytest
import torch
from optuna.trial import TrialState

from labutils.core.checks import ConfigError, DataError, NumericsError
from labutils.core.config import from_dict
from labutils.core.runtime import rng_for
from labutils.core.types import Goal
from labutils.models.registry import build, make_config
from labutils.search import study as room
from labutils.search.plan import Plan
from labutils.search.space import Range, SearchConfig, Space
from labutils.search.study import ReportGoal, Study
from labutils.search.tracking import PARENT
from labutils.training.fit import fit
from labutils.training.settings import FitConfig
from labutils.training.tensors import content_hash
from tests.discs import disc_store

CPU = torch.device("cpu")
LOSS = Goal(metric="val_total", direction="minimize")
TRAIN, VALIDATE = disc_store(8), disc_store(4, split="validate")


def make(out, tracker, *, goal=LOSS, epochs=2, **search):
    space = Space(fit={"lr": Range(low=1e-3, high=1e-1, log=True)}, model={"width": Range(choices=(2, 4))})
    plan = Plan(
        train=TRAIN,
        validate=VALIDATE,
        model="unet",
        settings={"levels": 2},
        config=FitConfig(epochs=epochs, batch_size=4, goal=goal),
        search=SearchConfig(**{"space": space, "random_trials": 2, **search}),
        device=CPU,
    )
    return Study(out, plan, tracker)


def opened(out):
    return optuna.load_study(study_name="search", storage=f"sqlite:///{out / 'study.db'}")


def runs_of(tracker, out):
    return tracker.children(opened(out).user_attrs["mlflow_run_id"])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "study"


@pytest.fixture
def scripted(monkeypatch):
    """Trainings whose goal takes given values, by trial and epoch; a NaN ends one as it ends a real training."""

    def script(*trials, metric="val_total"):
        left = list(trials)

        def fit_by_script(network, train, validate, config, *, device, callbacks):
            values, history = left.pop(0), []
            for callback in callbacks:
                callback.on_start(len(values), 1, types.SimpleNamespace(history=[]))
            for number, value in enumerate(values, 1):
                if value != value:
                    raise NumericsError(f"the loss term 'total' is nan at step {number}")
                # the decoy moves the other way, so that whoever looks at it decides otherwise
                history.append({metric: value, "decoy": -value, "lr": 0.1})
                epoch = types.SimpleNamespace(number=number, scores=history[-1], history=history)
                for callback in callbacks:
                    callback.on_epoch(epoch)
            pick = max if config.goal.direction == "maximize" else min
            return types.SimpleNamespace(network=network, best=pick(row[metric] for row in history))

        monkeypatch.setattr(room, "fit", fit_by_script)

    return script


def test_a_real_study_has_a_run_for_each_trial_and_repeats_by_hand(out, tracker):
    result = make(out, tracker).run(2)
    runs, study = runs_of(tracker, out), opened(out)
    assert [trial.user_attrs["mlflow_run_id"] for trial in study.trials] == [run.info.run_id for run in runs]
    assert {run.data.tags[PARENT] for run in runs} == {study.user_attrs["mlflow_run_id"]}
    for trial, run in zip(study.trials, runs, strict=True):
        assert run.info.status == "FINISHED"
        assert run.data.tags["trial"] == str(trial.number)
        assert float(run.data.params["fit.lr"]) == trial.params["fit.lr"]
        assert int(run.data.params["model.width"]) == trial.params["model.width"]
        history = tracker.client.get_metric_history(run.info.run_id, "val_total")
        assert {m.step: m.value for m in history} == trial.intermediate_values
        assert len(history) == 2
        assert trial.value == min(trial.intermediate_values.values())
    best = json.loads((out / "best.json").read_text())
    network = build("unet", make_config("unet", best["model"]), rng_for(0, "weights"))
    again = fit(network, TRAIN, VALIDATE, from_dict(FitConfig, best["fit"], "fit"), device=CPU)
    assert again.best == result.value == study.best_value
    passport = json.loads((artifacts(tracker, study.best_trial) / "passport.json").read_text())
    assert passport["weights_sha256"] == content_hash(again.network.state_dict())
    assert best == result.best
    assert passport["config"] == {"model": {"name": "unet", **best["model"]}, "fit": best["fit"]}


def artifacts(tracker, trial):
    uri = tracker.client.get_run(trial.user_attrs["mlflow_run_id"]).info.artifact_uri
    return Path(urlsplit(uri).path)


def test_nothing_is_written_outside_the_two_folders(out, tracker, tmp_path, scripted):
    scripted([1.0])
    make(out, tracker).run(1)
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "store", "study"]
    assert os.listdir(tmp_path / "elsewhere") == []
    assert sorted(os.listdir(out)) == ["best.json", "study.db", "study.lock", "trials.json"]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_one_goal_decides_in_the_study_the_pruner_and_the_value(out, tracker, scripted, direction):
    sign = 1 if direction == "minimize" else -1
    goal = Goal(metric="val_total", direction=direction)
    good, better, bad = [3.0, 2.0, 2.5], [3.0, 2.1, 2.2], [9.0, 9.0, 9.0]
    scripted(*[[sign * value for value in values] for values in (good, better, bad)])
    study = make(out, tracker, goal=goal, unpruned_trials=2, unpruned_epochs=0)
    result = study.run(3)
    trials = opened(out).trials
    assert opened(out).direction.name.lower() == direction
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED]
    assert [trial.value for trial in trials[:2]] == [sign * 2.0, sign * 2.1]  # the best epoch, not the last
    assert result.value == sign * 2.0
    assert result.trials[2]["epochs"] == 1


def test_the_pruner_is_told_the_goal_and_nothing_else():
    told = []
    trial = types.SimpleNamespace(report=lambda value, step: told.append((value, step)), should_prune=lambda: False)
    ReportGoal(trial, LOSS).on_epoch(types.SimpleNamespace(number=3, scores={"val_total": 0.5, "dice": 0.9}))
    assert told == [(0.5, 3)]


def test_a_pruned_trial_is_a_killed_run_with_its_epochs_and_a_passport(out, tracker, scripted):
    scripted([1.0, 1.0], [9.0, 9.0])
    make(out, tracker, unpruned_trials=1, unpruned_epochs=0).run(2)
    run = runs_of(tracker, out)[1]
    assert run.info.status == "KILLED"
    assert run.data.tags["pruned"] == "true"
    assert run.data.metrics["val_total"] == 9.0
    trial = opened(out).trials[1]
    assert json.loads((artifacts(tracker, trial) / "passport.json").read_text())["weights_sha256"] is None


def test_a_trial_that_is_not_finite_is_recorded_and_not_asked_for_again(out, tracker, scripted):
    scripted([1.0], [1.0, float("nan")], [2.0])
    result = make(out, tracker).run(3)
    assert [row["state"] for row in result.trials] == ["complete", "fail", "complete"]
    assert "total" in result.trials[1]["error"]
    assert [run.info.status for run in runs_of(tracker, out)] == ["FINISHED", "FAILED", "FINISHED"]
    assert json.loads((out / "trials.json").read_text()) == result.trials


def test_a_study_of_failures_alone_has_no_best(out, tracker, scripted):
    scripted([float("nan")])
    result = make(out, tracker).run(1)
    assert (result.best, result.value) == (None, None)
    assert not (out / "best.json").exists()


def test_asked_again_it_adds_the_missing_trials_and_proposes_what_it_would_have(out, tracker, tmp_path, scripted):
    values = [[3.0], [2.0], [1.0], [2.5]]
    scripted(*values)
    whole = make(tmp_path / "whole", tracker).run(4)
    scripted(*values)
    make(out, tracker).run(1)
    parent = opened(out).user_attrs["mlflow_run_id"]
    heard = []
    parts = make(out, tracker).run(4, on_trial=lambda row: heard.append(row["trial"]))
    assert heard == [1, 2, 3]
    assert [row["params"] for row in parts.trials] == [row["params"] for row in whole.trials]
    assert opened(out).user_attrs["mlflow_run_id"] == parent
    assert make(out, tracker).run(2).trials == parts.trials  # nothing is missing
    assert len({json.dumps(row["params"]) for row in whole.trials}) == 4


def test_a_trial_that_was_killed_is_made_up_for(out, tracker, scripted, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(out, tracker).run(1)
    assert [run.info.status for run in runs_of(tracker, out)] == ["KILLED"]
    assert tracker.client.get_run(opened(out).user_attrs["mlflow_run_id"]).info.status == "KILLED"
    left = opened(out).ask()  # what a process that died at once leaves behind
    orphan = tracker.start("orphan", {}, parent=opened(out).user_attrs["mlflow_run_id"])
    left.set_user_attr("mlflow_run_id", orphan.id)
    scripted([1.0])
    result = make(out, tracker).run(1)
    assert [row["state"] for row in result.trials] == ["fail", "fail", "complete"]
    assert result.trials[2]["params"] == result.trials[0]["params"] != {}
    assert [run.info.status for run in runs_of(tracker, out)] == ["KILLED", "KILLED", "FINISHED"]
    assert tracker.client.get_run(opened(out).user_attrs["mlflow_run_id"]).info.status == "FINISHED"


def test_a_study_with_other_settings_is_refused(out, tracker, scripted):
    scripted([1.0])
    make(out, tracker).run(1)
    with pytest.raises(ConfigError, match=r"holds a study with fit.epochs = 2, not 3"):
        make(out, tracker, epochs=3).run(2)
    with pytest.raises(ConfigError, match=r"fit.goal.direction = 'minimize', not 'maximize'"):
        make(out, tracker, goal=Goal(metric="val_total")).run(2)
    assert len(opened(out).trials) == 1


def test_a_study_from_before_settings_had_dotted_names_is_refused(out, tracker):
    out.mkdir()
    study = optuna.create_study(storage=f"sqlite:///{out / 'study.db'}", study_name="search", direction="minimize")
    space = {"lr": [1e-3, 1e-1], "widths": [2, 4]}
    study.set_user_attr("settings", {"model": {"width": 4}, "fit": {}, "search": {"space": space}, "data": {}})
    with pytest.raises(ConfigError, match=r"holds a study with .* and \d+ more; choose another folder"):
        make(out, tracker).run(1)
    assert opened(out).trials == []


def test_two_searches_do_not_share_a_folder(out, tracker, scripted):
    scripted([1.0])

    def second(_):
        with pytest.raises(DataError, match="another search is running"):
            make(out, tracker).run(1)

    make(out, tracker).run(1, on_trial=second)


def test_a_database_that_is_none_is_told_in_a_sentence(out, tracker):
    out.mkdir()
    (out / "study.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DataError, match=r"study's database \S+study.db cannot be used"):
        make(out, tracker).run(1)


def test_less_than_one_trial_is_refused(out, tracker):
    with pytest.raises(ConfigError, match="trials is 0"):
        make(out, tracker).run(0)
    assert not out.exists()
