"""What every test shares: one thread a process, skips for what this machine lacks, the chapters' times at the end."""

from __future__ import annotations

import os
import sys

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before torch is imported: two workers on two cores must not fight
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import pytest  # noqa: E402  the environment comes first
from hypothesis import settings  # noqa: E402

settings.register_profile("same every time", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("same every time")
LONGEST_FIRST = "test_notebooks.py"


@pytest.fixture(autouse=True)
def same_chance_every_time():
    """Seed the global generators, so that a test that draws from them draws the same numbers alone or in company."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def _gpu_visible() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items):
    """Start the longest file first, and skip what needs data or a GPU that is not here."""
    items.sort(key=lambda item: item.path.name != LONGEST_FIRST)
    reasons = {}
    if not os.environ.get("LABUTILS_DATA"):
        reasons["data"] = "needs real samples: set LABUTILS_DATA"
    if any(item.get_closest_marker("gpu") for item in items) and not _gpu_visible():
        reasons["gpu"] = "needs a GPU"
    for item in items:
        for mark, reason in reasons.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter):
    """Say how long each chapter took in the smoke budget."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, ()) if r.when == "call"]
    for report in sorted(reports, key=lambda r: r.nodeid):
        seconds = dict(report.user_properties).get("chapter_seconds")
        if seconds is not None:
            terminalreporter.write_line(f"chapter {report.nodeid.split('[')[-1].rstrip(']')}: {seconds:.1f} s")


@pytest.fixture
def installed_browser():
    """Skips the test where there is no browser; in continuous integration it fails."""
    from book.browser import NoBrowserError, open_browser

    try:
        with open_browser():
            pass
    except NoBrowserError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
