"""``python -m tests.bench [word ...]``: every ``bench_*.py`` here, one table; exit 1 when a bar judged here is missed.

Each such file has ``benches() -> list[Bench]``. Words select the rows whose file or name holds one of them. Set
``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1`` first: NumPy reads them only when it starts.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from tests.bench.timing import measure, table


def main(words: list[str]) -> int:
    """Measure the chosen rows, print the table, and give the exit status."""
    files = sorted(Path(__file__).parent.glob("bench_*.py"))
    rows = [(path.stem, bench) for path in files for bench in import_module(f"tests.bench.{path.stem}").benches()]
    chosen = [bench for file, bench in rows if not words or any(word in f"{file} {bench.name}" for word in words)]
    timings = [measure(bench) for bench in chosen]
    print(table(timings))
    return 1 if any(timing.verdict == "MISSED" for timing in timings) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
