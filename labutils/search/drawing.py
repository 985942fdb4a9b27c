"""What a study found, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labutils.core.types import Goal
from labutils.evaluation.scores import METRICS
from labutils.search.study import StudyResult
from labutils.viz.searches import Trials, trials_found

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def goal_words(goal: Goal) -> str:
    """The goal for a person, and which way is better."""
    label = METRICS[goal.metric].label if goal.metric in METRICS else goal.metric
    return f"{label} ({'lower' if goal.direction == 'minimize' else 'higher'} is better)"


def draw_trials(result: StudyResult, goal: Goal) -> Figure:
    """`labutils.viz.searches.trials_found` of a study, without the trials that were killed before they drew settings.

    Raises:
        InputError: the study has no trial.
    """
    names = [name for name, _ in result.space]
    rows = [row for row in result.trials if set(names) <= set(row["params"])]
    trials = Trials(
        numbers=[row["trial"] for row in rows],
        values=[float("nan") if row["value"] is None or row["state"] == "fail" else row["value"] for row in rows],
        complete=[row["state"] == "complete" for row in rows],
        settings={name: [row["params"][name] for row in rows] for name in names},
    )
    limits = {name: (x.low, x.high) for name, x in result.space if x.low is not None and x.high is not None}
    log = {name for name, chosen in result.space if chosen.log}
    return trials_found(trials, goal_words(goal), lower=goal.direction == "minimize", limits=limits, log=log)
