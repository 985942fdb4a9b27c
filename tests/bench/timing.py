"""Comparing two functions in one process: CPU time, one thread, calls interleaved, medians with ranges.

Wall time says nothing on a machine that others use, so the clock is user and system time: of this process, and of
those that it started and waited for. Ours and the peer take turns (A B A B ...), so a slow minute hits both. Each turn
repeats a short function until it lasts long enough for that clock. A peer too slow to run whole is timed on a stated
fraction and scaled up.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

TURN_S = 0.02  # a turn shorter than this is repeated until it is this long
LONG_S = 1.0  # a warm-up longer than this tells how long a turn is


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One row: our function against a peer's, and the ratio that has to be reached."""

    name: str
    ours: Callable[[], object]
    peer: Callable[[], object] | float  # or so many seconds of CPU time, where a budget is given and nobody's work
    peer_name: str
    at_most: float  # bar: CPU time of ours divided by that of the peer
    peer_share: float = 1.0  # the fraction of the whole work that `peer` does; its time is divided by this
    turns: int = 5
    check: Callable[[], None] | None = None  # asserts that both give the same answer; runs before the clock
    lacking: str = ""  # what this machine lacks and the bar assumes; the row is then measured and not judged


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What was measured for one row, in seconds of CPU time."""

    bench: Bench
    ours_s: tuple[float, ...]
    peer_s: tuple[float, ...]  # scaled to the whole work

    @property
    def ratio(self) -> float:
        """Median of ours divided by median of the peer; lower is better."""
        return statistics.median(self.ours_s) / statistics.median(self.peer_s)

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio <= self.bench.at_most

    @property
    def verdict(self) -> str:
        """What a person reads of it."""
        if self.met:
            return "met"
        return f"not judged: {self.bench.lacking}" if self.bench.lacking else "MISSED"


def measure(bench: Bench) -> Timing:
    """Check that both agree, warm both up, then time them in turns on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if bench.check is not None:
            bench.check()
        sides = [_timer(bench.ours), _timer(bench.peer)]
        turns = [(sides[0](), sides[1]()) for _ in range(bench.turns)]
    finally:
        torch.set_num_threads(threads)
    ours, peer = zip(*turns, strict=True)
    return Timing(bench=bench, ours_s=ours, peer_s=tuple(s / bench.peer_share for s in peer))


def _timer(side: Callable[[], object] | float) -> Callable[[], float]:
    """A function that gives the seconds of one turn; the side is warmed up before."""
    if isinstance(side, float):
        return lambda: side
    calls = _calls_per_turn(side)
    return lambda: _cpu_s(side, calls)


def _calls_per_turn(function: Callable[[], object]) -> int:
    if _cpu_s(function, 1) > LONG_S:  # warm-up: imports, caches, allocator
        return 1
    return max(1, round(TURN_S / max(_cpu_s(function, 1), 1e-6)))


def _cpu_s(function: Callable[[], object], calls: int) -> float:
    start = _spent_s()
    for _ in range(calls):
        function()
    return (_spent_s() - start) / calls


def _spent_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def table(timings: Sequence[Timing]) -> str:
    """The rows as aligned text."""
    header = ("what", "ours, CPU ms", "peer, CPU ms", "peer", "ratio", "bar", "faster", "verdict")
    rows = [header]
    for timing in timings:
        bench = timing.bench
        share = f" ({bench.peer_share:.3g} of the work, scaled)" if bench.peer_share < 1 else ""
        rows.append(
            (
                bench.name,
                _spread(timing.ours_s),
                _spread(timing.peer_s),
                bench.peer_name + share,
                f"{timing.ratio:.3g}",
                f"<= {bench.at_most:.3g}",
                f"{1 / timing.ratio:,.3g}x" if timing.ratio > 1e-3 else f"{1 / timing.ratio:,.0f}x",
                timing.verdict,
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _spread(seconds: Sequence[float]) -> str:
    low, mid, high = (1000 * s for s in (min(seconds), statistics.median(seconds), max(seconds)))
    return f"{mid:,.3g} [{low:,.3g}, {high:,.3g}]" if mid < 1000 else f"{mid:,.0f} [{low:,.0f}, {high:,.0f}]"
