"""The weekly run with the newest versions reports on whatever happens, and fails in the end where something failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
JOB = yaml.safe_load((ROOT / ".github/workflows/newest.yml").read_text())["jobs"]["newest"]
REPORT = """<testsuites><testsuite><testcase classname="tests.a" name="good"/>
<testcase classname="tests.a" name="bad"><failure/></testcase></testsuite></testsuites>"""


def test_a_failing_step_skips_neither_the_tests_nor_the_report():
    steps = [step for step in JOB["steps"] if "run" in step]
    trying = {step["id"] for step in steps if step.get("continue-on-error")}
    assert trying == {"book", "tests"}
    assert steps[-1] == {
        "if": " || ".join(f"steps.{one}.outcome == 'failure'" for one in sorted(trying)),
        "run": "exit 1",
    }
    (report,) = [step["run"] for step in steps if ".ci/compatibility.py" in step["run"]]
    assert ".ci/compatibility.py report.xml ${{ steps.book.outcome }} >" in report
    assert any("--junitxml=report.xml" in step["run"] for step in steps if step.get("id") == "tests")


@pytest.mark.parametrize(
    ("text", "book", "expected"),
    [
        (REPORT, "success", ["The book was built. 1 tests passed, 1 failed, 0 were skipped.", "- `tests.a.bad`"]),
        (REPORT, "failure", ["The book could not be built. 1 tests passed"]),
        (None, "failure", ["The book could not be built. The tests did not start."]),
    ],
)
def test_the_report_says_how_book_and_tests_went(tmp_path, text, book, expected):
    if text:
        (tmp_path / "report.xml").write_text(text)
    command = [sys.executable, ROOT / ".ci/compatibility.py", tmp_path / "report.xml", book]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line for line in expected if line not in page] == []
    assert "| jupyter-book | 1.0" in page
