"""Runs in an MLflow store: every call names its run, so nothing depends on which run a thread has open.

A study is a run; its trials are runs that carry its id in the tag ``mlflow.parentRunId``. The store is one SQLite file
and one folder of artifacts in a folder of your choice, unless the address of a server or of PostgreSQL is given.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import sqlalchemy
from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from labutils.core.checks import LabutilsError, require_choice
from labutils.core.config import flatten
from labutils.search.redact import redacted, safe_value
from labutils.training.checkpoint import Progress
from labutils.training.fit import Callback, Epoch

Status = Literal["FINISHED", "FAILED", "KILLED"]
EXPERIMENT = "labutils"
PARENT = "mlflow.parentRunId"
PARAM_CHARACTERS = 500  # the least that any MLflow store takes
BATCH = 100  # parameters in a request; stores refuse more
METRICS_BATCH = 1000  # metrics in a request
_log = logging.getLogger(__name__)
logging.getLogger("mlflow").setLevel(logging.WARNING)  # not a line for each table of a new store


class TrackingError(LabutilsError):
    """The store of runs cannot be reached, or does not know a run."""


class Tracker:
    """A place to keep runs.

    Args:
        folder: where ``mlflow.db`` and ``mlflow-artifacts/`` go; not used with the address of a server.
        uri: another store: ``http(s)://`` of an MLflow server, ``postgresql://`` or ``sqlite:///`` of a database.
            The artifacts of a database other than a server's go to `folder`.
    Raises:
        ConfigError: the address is of another kind.
        TrackingError: the store cannot be opened.
    """

    def __init__(self, folder: str | Path, uri: str | None = None) -> None:
        folder = Path(folder).absolute()
        self.uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
        kind = urlsplit(self.uri).scheme.split("+")[0]
        require_choice("kind of tracking address", kind, ("sqlite", "http", "https", "postgresql"))
        artifacts = None if kind.startswith("http") else (folder / "mlflow-artifacts").as_uri()
        with _faults(self.uri), warnings.catch_warnings():
            # MLflow 3.17 sets up its tables with a loader that SQLAlchemy 2.1 calls deprecated.
            warnings.filterwarnings("ignore", "The ``noload`` loader strategy is deprecated")
            if kind == "postgresql":
                sqlalchemy.create_engine(self.uri).connect().close()  # MLflow alone would try for minutes
            self.client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            self.experiment = self._experiment(artifacts)

    def _experiment(self, artifacts: str | None) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            try:
                return self.client.create_experiment(EXPERIMENT, artifact_location=artifacts)
            except MlflowException:  # another process was first
                found = self.client.get_experiment_by_name(EXPERIMENT)
                if found is None:
                    raise
        return found.experiment_id

    def start(self, name: str, settings: Mapping[str, Any], *, parent: str | None = None) -> TrackedRun:
        """A new run with its settings as flat parameters; `parent` is the id of the run it belongs to."""
        tags = {PARENT: parent} if parent else {}
        with _faults(self.uri):
            run = self.client.create_run(self.experiment, run_name=name, tags=tags)
            tracked = TrackedRun(self, run.info.run_id)
            tracked.log_settings(settings)
        return tracked

    def resume(self, run_id: str) -> TrackedRun:
        """A run that is there already, set to running again.

        Raises:
            TrackingError: this store does not know it.
        """
        with _faults(self.uri):
            self.client.update_run(run_id, status="RUNNING")
        return TrackedRun(self, run_id)

    def children(self, parent: str) -> list[Run]:
        """The runs that belong to the run `parent`, oldest first."""
        with _faults(self.uri):
            return list(
                self.client.search_runs(
                    [self.experiment], f"tags.`{PARENT}` = '{parent}'", order_by=["attributes.start_time ASC"]
                )
            )


class TrackedRun:
    """One run of a `Tracker`. As a context it ends FINISHED, or FAILED after an error, or KILLED after an interrupt."""

    def __init__(self, tracker: Tracker, run_id: str) -> None:
        self.tracker, self.id, self.ended = tracker, run_id, False
        self._client, self._uri = tracker.client, tracker.uri

    def __enter__(self) -> TrackedRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end("FINISHED")
        elif not self.ended:
            self.end("FAILED" if issubclass(kind, Exception) else "KILLED")

    def log_settings(self, settings: Mapping[str, Any]) -> None:
        """Nested settings as flat parameters; long values are cut, with their length, and secrets are hidden."""
        values = {name: safe_value(name, value) for name, value in flatten(settings).items()}
        params = [Param(name, shortened(value)) for name, value in values.items()]
        with _faults(self._uri):
            for first in range(0, len(params), BATCH):
                self._client.log_batch(self.id, params=params[first : first + BATCH])

    def log_epochs(self, rows: Sequence[Mapping[str, float]], first: int) -> None:
        """The scores of epochs `first`, `first + 1`, ... (1-based) as metrics, in as few requests as there can be."""
        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, epoch)
            for epoch, row in enumerate(rows, start=first)
            for name, value in row.items()
        ]
        with _faults(self._uri):
            for start in range(0, len(metrics), METRICS_BATCH):
                self._client.log_batch(self.id, metrics=metrics[start : start + METRICS_BATCH])

    def epochs(self) -> int:
        """How many epochs the store already has (each has a learning rate)."""
        with _faults(self._uri):
            return len({metric.step for metric in self._client.get_metric_history(self.id, "lr")})

    def log_json(self, name: str, value: Mapping[str, Any]) -> None:
        """A table as the artifact `name`; one of that name is replaced."""
        with _faults(self._uri):
            self._client.log_text(self.id, redacted(json.dumps(value, indent=1, sort_keys=True)), name)

    def tag(self, name: str, value: object) -> None:
        """Set a tag."""
        with _faults(self._uri):
            self._client.set_tag(self.id, name, str(value))

    def end(self, status: Status) -> None:
        """Close the run. A store that is gone by now is a warning: what was computed lies in the run folder."""
        self.ended = True
        try:
            with _faults(self._uri):
                self._client.set_terminated(self.id, status)
        except TrackingError as error:
            _log.warning("%s", error)


class TrackEpochs(Callback):
    """Sends each epoch's scores; what could not be sent is sent with the next ones, and training goes on."""

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        self.sent = 0

    def on_start(self, epochs: int, steps: int, progress: Progress) -> None:
        """Send what a resumed training did before and the store does not have."""
        self.sent = self.run.epochs()
        self._send(progress.history)

    def on_epoch(self, epoch: Epoch) -> None:
        """Send this epoch, and those before it that are missing."""
        self._send(epoch.history)

    def _send(self, history: Sequence[Mapping[str, float]]) -> None:
        try:
            self.run.log_epochs(history[self.sent :], first=self.sent + 1)
            self.sent = max(self.sent, len(history))
        except TrackingError as error:
            _log.warning("%s; the epochs are sent again with the next", error)


def shortened(text: str) -> str:
    """`text`, or where it is longer than a store takes its beginning and its whole length."""
    if len(text) <= PARAM_CHARACTERS:
        return text
    mark = f"... ({len(text)} characters)"
    return text[: PARAM_CHARACTERS - len(mark)] + mark


@contextmanager
def _faults(uri: str) -> Iterator[None]:
    """Say in one sentence which store failed."""
    try:
        yield
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        reason = redacted(str(error).strip().splitlines()[0])
        raise TrackingError(f"the tracking store {redacted(uri)} failed: {reason}") from error
