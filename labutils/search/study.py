"""A search over settings of a model and its training: an Optuna study whose trials are runs of an MLflow store.

One `Goal`, that of the training settings, says which number the study compares, the pruner looks at and a trial
returns, and which way is better. What a trial proposes follows from the seed and the trials that ended before it, so a
search that was stopped or killed, and asked for again, proposes what it would have proposed.

A study folder holds::

    study.db       the study, an Optuna database; labutils search with the same settings goes on from it
    study.lock     held while a search runs: two at a time would each take the other's trials for dead
    trials.json    one row a trial
    best.json      the best settings, as labutils train --config takes them
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import torch
from optuna.samplers import TPESampler
from optuna.trial import BaseTrial, FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from labutils.core.checks import ConfigError, DataError, NumericsError, require
from labutils.core.config import differences, from_dict, merge
from labutils.core.files import only_one, write_json
from labutils.core.runtime import numpy_rng_for
from labutils.core.types import Goal
from labutils.evaluation.passport import make_passport
from labutils.evaluation.scores import epoch_ids
from labutils.search.plan import Plan
from labutils.search.space import Space, suggest
from labutils.search.tracking import TrackedRun, TrackEpochs, Tracker
from labutils.training.fit import Callback, Epoch, fit
from labutils.training.settings import FitConfig
from labutils.training.tensors import content_hash

STUDY, LOCK, TRIALS, BEST = "study.db", "study.lock", "trials.json", "best.json"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
RUN_ID = "mlflow_run_id"  # attribute of a study and of a trial
TRIAL_ERRORS = (NumericsError, torch.OutOfMemoryError)  # what settings can be blamed for; anything else ends the search

optuna.logging.set_verbosity(optuna.logging.ERROR)


class StudyResult(NamedTuple):
    """How a search stands."""

    best: dict[str, Any] | None  # settings of the best trial, tables model and fit; None where no trial is complete
    value: float | None  # its value of the goal
    trials: list[dict[str, Any]]  # one row a trial
    space: Space  # what was searched


class ReportGoal(Callback):
    """Tells a trial the goal's value after each epoch, and ends it where the pruner says so."""

    def __init__(self, trial: optuna.Trial, goal: Goal) -> None:
        self.trial, self.goal = trial, goal

    def on_epoch(self, epoch: Epoch) -> None:
        """Report, and ask."""
        self.trial.report(epoch.scores[self.goal.metric], epoch.number)
        if self.trial.should_prune():
            raise optuna.TrialPruned(f"stopped after epoch {epoch.number}")


class Study:
    """A study folder, and what its trials share.

    Args:
        out: the study folder.
        plan: what is searched.
        tracker: where the runs go.
    """

    def __init__(self, out: Path, plan: Plan, tracker: Tracker) -> None:
        self.out, self.plan, self.tracker = out, plan, tracker
        self.goal, self.search = plan.config.goal, plan.search

    def run(self, trials: int, on_trial: Callable[[dict[str, Any]], None] | None = None) -> StudyResult:
        """Bring the study to `trials` trials that ended; those it has are kept.

        A trial whose loss is not finite, or that does not fit into the GPU's memory, is recorded as failed and counts;
        one that was killed is recorded as failed and does not count.

        Args:
            trials: how many in all.
            on_trial: called with the row of each trial that ended (see ``trials.json``).
        Raises:
            ConfigError: fewer than one trial, or the folder holds a study with other settings or other data.
            DataError: another search is running in the folder, or its database cannot be used.
            TrackingError: the store of runs cannot be reached, or does not know the study.
        """
        require(trials >= 1, f"trials is {trials}; wanted 1 or more", ConfigError)
        self.out.mkdir(parents=True, exist_ok=True)
        busy = f"another search is running in {self.out}; wait for it, or choose another folder"
        with only_one(self.out / LOCK, busy), _database(self.out):
            study = optuna.create_study(
                storage=f"sqlite:///{self.out.absolute() / STUDY}",
                study_name="search",
                direction=self.goal.direction,
                pruner=optuna.pruners.MedianPruner(self.search.unpruned_trials, self.search.unpruned_epochs),
                load_if_exists=True,
            )
            self._require_same(study)
            with self._parent(study) as parent:
                self._bury(study, parent)
                while (done := len([t for t in study.trials if counts(t)])) < trials:
                    study.sampler = self._sampler(done)  # one that was killed is made up for by its like
                    study.optimize(lambda trial: self._trial(trial, parent), n_trials=1, catch=TRIAL_ERRORS)
                    if on_trial:
                        on_trial(_row(study.trials[-1]))
                return self._result(study, parent)

    def _require_same(self, study: optuna.Study) -> None:
        wanted = {
            **self.plan.whole(),
            "data": {d["split"]: d["manifest"] for d in self.plan.data},
        }
        there = study.user_attrs.get("settings")
        if there is None:
            study.set_user_attr("settings", wanted)
        elif differing := differences(there, wanted):
            raise ConfigError(f"{self.out} holds a study with {differing}; choose another folder")

    def _parent(self, study: optuna.Study) -> TrackedRun:
        if RUN_ID in study.user_attrs:
            return self.tracker.resume(study.user_attrs[RUN_ID])
        parent = self.tracker.start(self.out.name, self.plan.whole())
        study.set_user_attr(RUN_ID, parent.id)
        return parent

    def _bury(self, study: optuna.Study, parent: TrackedRun) -> None:
        """Mark what an earlier process left running as failed and killed; nothing else can be running here."""
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
        for run in self.tracker.children(parent.id):
            if run.info.status == "RUNNING":
                TrackedRun(self.tracker, run.info.run_id).end("KILLED")

    def _sampler(self, number: int) -> TPESampler:
        seed = int(numpy_rng_for(self.search.seed, "trial", number).integers(2**31))
        return TPESampler(seed=seed, n_startup_trials=self.search.random_trials)

    def _trial(self, trial: optuna.Trial, parent: TrackedRun) -> float:
        settings = self._settings(trial)
        name, recorded = f"{self.out.name}-{trial.number}", self.plan.recorded(settings)
        with self.tracker.start(name, recorded, parent=parent.id) as run:
            trial.set_user_attr(RUN_ID, run.id)
            run.tag("trial", trial.number)
            try:
                return self._fit(trial, settings, run)
            except TRIAL_ERRORS as error:
                trial.set_user_attr("error", str(error))
                raise
            except optuna.TrialPruned:
                run.tag("pruned", "true")
                run.end("KILLED")  # MLflow has no word of its own for it
                raise

    def _fit(self, trial: optuna.Trial, settings: Mapping[str, Any], run: TrackedRun) -> float:
        plan, config = self.plan, from_dict(FitConfig, settings["fit"], "fit")
        network, recorded = plan.network(settings["model"]), plan.recorded(settings)
        run.log_json("passport.json", self._passport(recorded, None))
        watchers = (TrackEpochs(run), ReportGoal(trial, config.goal))
        result = fit(network, plan.train, plan.validate, config, device=plan.device, callbacks=watchers)
        run.log_json("passport.json", self._passport(recorded, content_hash(result.network.state_dict())))
        if result.best is None or not math.isfinite(result.best):
            raise NumericsError(f"{config.goal.metric} is undefined")
        return result.best

    def _passport(self, settings: Mapping[str, Any], weights: str | None) -> dict[str, Any]:
        return make_passport(
            config=settings,
            data=self.plan.data,
            seed=self.plan.config.seed,
            device=self.plan.device,
            definitions=epoch_ids(self.goal),
            weights_sha256=weights,
        )

    def _result(self, study: optuna.Study, parent: TrackedRun) -> StudyResult:
        rows = [_row(trial) for trial in study.trials]
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        best = self._settings(optuna.trial.FixedTrial(study.best_trial.params)) if complete else None
        value = study.best_value if complete else None
        write_json(self.out / TRIALS, rows)
        parent.log_json(TRIALS, {"trials": rows})
        parent.log_json("passport.json", self._passport(self.plan.whole(), None))
        if best is not None and value is not None:
            write_json(self.out / BEST, best)
            parent.log_json(BEST, best)
            parent.tag("best_trial", study.best_trial.number)
            parent.log_epochs([{self.goal.metric: value}], first=len(rows))
        return StudyResult(best, value, rows, self.search.space)

    def _settings(self, trial: BaseTrial) -> dict[str, Any]:
        """Tables ``model`` and ``fit`` of a trial."""
        return merge(self.plan.base, suggest(trial, self.search.space, self.plan.model))


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial ended by itself: complete, pruned, or failed by its own settings."""
    return trial.state in ENDED or "error" in trial.user_attrs


def _row(trial: FrozenTrial) -> dict[str, Any]:
    known = trial.value is not None and math.isfinite(trial.value)
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if known else None,  # of a pruned trial: the last one reported
        "params": trial.params,
        "epochs": len(trial.intermediate_values),
        "error": trial.user_attrs.get("error"),
        RUN_ID: trial.user_attrs.get(RUN_ID),
    }


@contextmanager
def _database(out: Path) -> Iterator[None]:
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise DataError(f"the study's database {out / STUDY} cannot be used: {reason}") from error
