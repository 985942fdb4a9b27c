"""One new MLflow database for all tests: making its tables takes seconds, copying the file does not."""

from __future__ import annotations

import shutil

import pytest

from labutils.search.tracking import EXPERIMENT, Tracker


@pytest.fixture(scope="session")
def new_store(tmp_path_factory):
    """The folder in which a store was made by its relative name, with a run in it."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with Tracker("runs").start("first", {}) as run:
            run.log_json("table.json", {"a": 1})
    return folder


@pytest.fixture
def make_tracker(new_store, tmp_path, monkeypatch):
    """Returns a tracker in a folder of its own; the process stands in another, empty one."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def make(name="store"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        if not (folder / "mlflow.db").exists():
            shutil.copy(new_store / "runs" / "mlflow.db", folder / "mlflow.db")
            _point_artifacts_to(folder)
        return Tracker(folder)

    return make


def _point_artifacts_to(folder):
    import sqlite3

    with sqlite3.connect(folder / "mlflow.db") as database:
        place = (folder / "mlflow-artifacts").as_uri()
        database.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", (place, EXPERIMENT))
    database.close()


@pytest.fixture
def tracker(make_tracker):
    return make_tracker()
