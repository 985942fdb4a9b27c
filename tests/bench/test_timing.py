"""The clock's arithmetic and the verdict, on functions whose cost is known."""

import subprocess
import sys

import pytest

from tests.bench.timing import Bench, Timing, measure, table


def bench(**changes):
    plain = {"name": "sum", "ours": lambda: None, "peer": lambda: None, "peer_name": "loop", "at_most": 0.5, "turns": 3}
    return Bench(**(plain | changes))


def test_ratio_is_of_medians_and_decides_the_verdict():
    timing = Timing(bench=bench(), ours_s=(1.0, 2.0, 9.0), peer_s=(3.0, 4.0, 5.0))
    assert timing.ratio == 0.5
    assert timing.met
    assert not Timing(bench=bench(at_most=0.49), ours_s=timing.ours_s, peer_s=timing.peer_s).met


def test_what_a_machine_lacks_is_told_in_place_of_a_missed_bar():
    slow = {"ours_s": (2.0,), "peer_s": (1.0,)}
    assert Timing(bench=bench(), **slow).verdict == "MISSED"
    lacking = bench(lacking="no such instructions")
    assert Timing(bench=lacking, **slow).verdict == "not judged: no such instructions"
    assert Timing(bench=lacking, ours_s=(1.0,), peer_s=(2.0,)).verdict == "met"


def test_measure_tells_slow_from_fast_and_scales_the_share():
    timing = measure(bench(ours=lambda: sum(range(2_000)), peer=lambda: sum(range(20_000)), peer_share=0.1))
    assert len(timing.ours_s) == len(timing.peer_s) == 3
    assert 0.002 < timing.ratio < 0.05  # 10 times the additions, a tenth of the work: 0.01
    assert "0.1 of the work, scaled" in table([timing])
    assert "met" in table([timing])


def test_the_time_of_a_process_that_was_waited_for_counts():
    def child():
        subprocess.run([sys.executable, "-I", "-c", "sum(range(3_000_000))"], check=True)

    (spent_s,) = measure(bench(ours=child, turns=1)).ours_s
    assert spent_s > 0.005  # no machine adds three million numbers and starts Python in less


def test_a_budget_in_seconds_can_stand_for_a_peer():
    timing = measure(bench(ours=lambda: None, peer=2.0, turns=2))
    assert timing.peer_s == (2.0, 2.0)
    assert timing.ratio < 0.01


def test_check_runs_before_the_clock():
    def differ():
        raise AssertionError("answers differ")

    with pytest.raises(AssertionError, match="answers differ"):
        measure(bench(check=differ))
