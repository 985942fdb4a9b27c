"""Many independent units of work on many processes or machines, through joblib's API.

A unit is anything small that can be sent to another process: a scan id, a seed, a path. A function sees its unit and
nothing else, so it draws its random numbers from ``rng_for(seed, unit)``, never from its place in the queue; then the
number of workers cannot change a result.

Engines plug in through joblib: inside ``with joblib.parallel_config(backend=...)`` (processes, threads, Dask, a Ray
cluster) the units run there. joblib is imported only when more than a plain loop is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from labutils.core.checks import LabutilsError, require

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class UnitError(LabutilsError, RuntimeError):
    """One unit of many failed; the text names the unit and what happened in it."""


class _Named(Generic[Unit, Result]):
    """A function whose failures say which unit they belong to; a class, so that it can travel to other processes."""

    def __init__(self, function: Callable[[Unit], Result], describe: Callable[[Unit], str]) -> None:
        self.function, self.describe = function, describe

    def __call__(self, unit: Unit) -> Result:
        try:
            return self.function(unit)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise UnitError(f"the unit {self.describe(unit)} failed with {reason}") from error


def run_units(
    function: Callable[[Unit], Result],
    units: Iterable[Unit],
    *,
    workers: int | None = 1,
    describe: Callable[[Unit], str] = repr,
    progress: bool = False,
) -> list[Result]:
    """Call `function` on every unit and return the results in the order of the units.

    Args:
        function: takes one unit; defined at the top of a module, so that other processes can find it.
        units: any number of independent units.
        workers: how many at once. 1 is a plain loop in this process, -1 one for each core; None takes the number that
            an active ``joblib.parallel_config`` says (1 where there is none). Any number but 1 runs on the backend
            of that configuration, or on processes where there is none.
        describe: what to call a unit in an error.
        progress: show a bar on standard error.
    Raises:
        UnitError: a unit failed; the first failure seen ends the run.
        InputError: `workers` is 0 or below -1.
    """
    require(workers is None or workers == -1 or workers >= 1, f"workers is {workers}; wanted 1 or more, -1 or None")
    queue, named = list(units), _Named(function, describe)
    results: Iterator[Any] = map(named, queue) if workers == 1 else _parallel(named, queue, workers)
    return list(tqdm(results, total=len(queue), disable=not progress))


def _parallel(named: Callable[[Any], Any], queue: list[Any], workers: int | None) -> Iterator[Any]:
    import joblib

    # No backend is named here: joblib then takes the caller's parallel_config, and loky processes without one.
    return iter(joblib.Parallel(n_jobs=workers, return_as="generator")(joblib.delayed(named)(unit) for unit in queue))
