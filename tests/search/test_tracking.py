"""Runs in a store of their own: explicit ids, flat settings, curves, artifacts, and nothing anywhere else."""

import os
import subprocess
import sys
import threading

import pytest
import torch
from mlflow.exceptions import MlflowException

from labutils.core.checks import ConfigError
from labutils.core.runtime import rng_for
from labutils.models.registry import build, make_config
from labutils.search.tracking import PARAM_CHARACTERS, PARENT, TrackEpochs, Tracker, TrackingError, shortened
from labutils.training.fit import fit
from labutils.training.settings import FitConfig
from tests.discs import disc_store


def curve(tracker, run, name):
    return [(m.step, m.value) for m in sorted(tracker.client.get_metric_history(run, name), key=lambda m: m.step)]


def train(epochs, callbacks, run=None):
    network = build("unet", make_config("unet", {"width": 4, "levels": 2}), rng_for(0, "weights"))
    config = FitConfig(epochs=epochs, batch_size=4, schedule="constant")
    stores = disc_store(8), disc_store(4, split="validate")
    return fit(network, *stores, config, device=torch.device("cpu"), run=run, callbacks=callbacks)


def test_a_new_store_is_one_file_and_one_folder(new_store):
    assert os.listdir(new_store) == ["runs"]
    assert sorted(os.listdir(new_store / "runs")) == ["mlflow-artifacts", "mlflow.db"]
    assert [path.name for path in (new_store / "runs").rglob("*.json")] == ["table.json"]


def test_a_store_that_is_there_is_used_again(make_tracker):
    assert make_tracker().experiment == make_tracker().experiment


def test_settings_are_flat_cut_and_without_secrets(tracker):
    settings = {"fit": {"lr": 0.1, "goal": {"metric": "dice"}}, "db": {"password": "word"}, "long": "x" * 9999}
    run = tracker.start("one", settings | {"store": "postgresql://me:word@host"})
    params = tracker.client.get_run(run.id).data.params
    assert params["fit.lr"] == "0.1"
    assert params["fit.goal.metric"] == "dice"
    assert len(params["long"]) == PARAM_CHARACTERS
    assert params["long"].endswith("... (9999 characters)")
    assert "word" not in str(params.values())


def test_more_settings_than_a_request_takes_all_arrive(tracker):
    run = tracker.start("many", {str(i): i for i in range(230)})
    assert len(tracker.client.get_run(run.id).data.params) == 230


def test_short_text_is_not_cut():
    assert shortened("x" * PARAM_CHARACTERS) == "x" * PARAM_CHARACTERS


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_a_run_ends_as_its_work_did(tracker, error, status):
    run = tracker.start("one", {})
    assert tracker.client.get_run(run.id).info.status == "RUNNING"
    try:
        with run:
            if error:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    assert tracker.client.get_run(run.id).info.status == status


def test_children_carry_their_parent(tracker):
    parent = tracker.start("study", {})
    children = [tracker.start(f"trial-{i}", {}, parent=parent.id) for i in range(2)]
    tracker.start("stranger", {})
    assert {run.info.run_id for run in tracker.children(parent.id)} == {child.id for child in children}
    assert tracker.client.get_run(children[0].id).data.tags[PARENT] == parent.id


def test_threads_do_not_mix_their_runs(tracker):
    runs = [tracker.start(f"run-{i}", {}) for i in range(4)]

    def work(number):
        for epoch in range(1, 4):
            runs[number].log_epochs([{"lr": 10.0 * number + epoch}], first=epoch)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, run in enumerate(runs):
        assert curve(tracker, run.id, "lr") == [(epoch, 10.0 * number + epoch) for epoch in (1, 2, 3)]


def test_a_training_sends_each_epoch(tracker):
    run = tracker.start("one", {})
    result = train(3, [TrackEpochs(run)])
    assert curve(tracker, run.id, "dice") == [(i + 1, row["dice"]) for i, row in enumerate(result.history)]
    assert {"iou", "train_total", "val_total", "lr"} <= set(tracker.client.get_run(run.id).data.metrics)


def test_a_resumed_training_sends_no_epoch_twice_and_what_was_missed(tracker, tmp_path):
    run = tracker.start("one", {})
    train(1, [TrackEpochs(run)], tmp_path / "run")
    train(2, [], tmp_path / "run")  # an epoch the store never heard of
    result = train(4, [TrackEpochs(tracker.resume(run.id))], tmp_path / "run")
    assert curve(tracker, run.id, "dice") == [(i + 1, row["dice"]) for i, row in enumerate(result.history)]


def test_a_store_that_fails_for_a_while_does_not_end_a_training(tracker, monkeypatch, caplog):
    run, log_batch, calls = tracker.start("one", {}), tracker.client.log_batch, []

    def fails_once(*arguments, **named):
        calls.append(named)
        if len(calls) == 1:
            raise MlflowException("gone for a while")
        return log_batch(*arguments, **named)

    monkeypatch.setattr(tracker.client, "log_batch", fails_once)
    result = train(3, [TrackEpochs(run)])
    assert "gone for a while" in caplog.text
    assert [step for step, _ in curve(tracker, run.id, "dice")] == [1, 2, 3] == list(range(1, len(result.history) + 1))


def test_an_address_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="kind of tracking address is 'ftp'"):
        Tracker(tmp_path, "ftp://host")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql://me:word@127.0.0.1:9/db"])
def test_a_server_that_is_not_there_is_told_without_its_password(tmp_path, uri):
    with pytest.raises(TrackingError, match=r"the tracking store .* failed") as caught:
        Tracker(tmp_path, uri)
    assert "word" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_that_the_store_does_not_know_is_told(tracker):
    with pytest.raises(TrackingError, match=r"failed: .*nowhere"):
        tracker.resume("nowhere")


def test_telemetry_is_off_before_mlflow_is_imported():
    code = (
        "import labutils.search, os; from mlflow.telemetry.utils import is_telemetry_disabled;"
        "print(os.environ['MLFLOW_DISABLE_TELEMETRY'], is_telemetry_disabled())"
    )
    names = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "DO_NOT_TRACK"))}
    done = subprocess.run([sys.executable, "-c", code], env=names, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["true", "True"]
