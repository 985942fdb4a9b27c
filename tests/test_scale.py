"""Independent units: same results in the same order, however many workers; failures carry the unit's name."""

import os
import sys
import threading

import pytest

from labutils.core.checks import InputError, LabutilsError
from labutils.core.runtime import numpy_rng_for
from labutils.scale import UnitError, run_units


def draw_for(unit):
    return float(numpy_rng_for(7, "draw", unit).random())


def test_results_stand_in_the_order_of_the_units():
    assert run_units(lambda unit: unit * unit, iter([3, 1, 2])) == [9, 1, 4]


def test_no_unit_gives_no_result():
    assert run_units(draw_for, []) == []


def test_processes_give_what_a_loop_gives():
    from labutils.core.runtime import numpy_rng_for as rng_for  # nested, so that other processes get it by value

    def draw(unit):
        return float(rng_for(7, "draw", unit).random()), os.getpid()

    looped, spread = run_units(draw, range(6)), run_units(draw, range(6), workers=2)
    assert [value for value, _ in spread] == [value for value, _ in looped]
    assert os.getpid() not in {pid for _, pid in spread}


def test_a_failure_in_the_loop_names_the_unit():
    with pytest.raises(UnitError, match=r"^the unit scan 4 failed with ZeroDivisionError: division") as caught:
        run_units(lambda unit: 1 / (unit - 4), range(8), describe="scan {}".format)
    assert isinstance(caught.value, LabutilsError)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_failure_in_another_process_names_the_unit():
    def reciprocal(unit):
        return 1 / (unit - 4)

    with pytest.raises(UnitError, match=r"^the unit 4 failed with ZeroDivisionError"):
        run_units(reciprocal, range(8), workers=2)


def test_one_worker_needs_no_joblib(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert run_units(draw_for, [1, 2]) == [draw_for(1), draw_for(2)]
    with pytest.raises(ImportError):
        run_units(draw_for, [1, 2], workers=2)


@pytest.mark.parametrize("workers", [None, 2])
def test_a_configured_engine_is_used(workers):
    import joblib
    from joblib._parallel_backends import ThreadingBackend

    class Engine(ThreadingBackend):
        pass

    joblib.register_parallel_backend("engine-under-test", Engine)

    def where(unit):
        return os.getpid(), threading.current_thread() is threading.main_thread()

    with joblib.parallel_config(backend="engine-under-test", n_jobs=2):
        places = run_units(where, range(4), workers=workers)
    assert set(places) == {(os.getpid(), False)}  # in this process, and not in a plain loop


def test_without_a_configuration_none_runs_here():
    assert run_units(lambda unit: os.getpid(), range(2), workers=None) == [os.getpid()] * 2


@pytest.mark.parametrize("workers", [0, -2])
def test_a_senseless_number_of_workers_is_refused(workers):
    with pytest.raises(InputError, match="workers is"):
        run_units(draw_for, [1], workers=workers)


def test_progress_stays_off_unless_asked_for(capsys):
    run_units(draw_for, [1])
    assert capsys.readouterr().err == ""
    run_units(draw_for, [1, 2], progress=True)
    assert "2/2" in capsys.readouterr().err
