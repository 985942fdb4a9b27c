"""Write a page in Markdown: the versions installed here beside the pinned ones, and how book and tests went with them.

usage: python .ci/compatibility.py REPORT BOOK     a JUnit report; how the build of the book ended, e.g. success
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def normalized(name: str) -> str:
    """A package name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct_names() -> list[str]:
    """Packages that pyproject.toml names, sorted."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    return sorted({normalized(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in lines})


def outcome(report: Path) -> tuple[str, list[str]]:
    """One sentence about a JUnit report, and the names of the tests that failed in it."""
    if not report.exists():
        return "The tests did not start.", []
    cases = list(ElementTree.parse(report).iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    text = f"{len(cases) - len(bad) - skipped} tests passed, {len(bad)} failed, {skipped} were skipped."
    return text, [f"{case.get('classname')}.{case.get('name')}" for case in bad]


def page(report: Path, book: str) -> str:
    """The whole page, from a JUnit report and the outcome of the step that builds the book."""
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    pinned = {normalized(name): version for name, version in pinned.items()}
    installed = {normalized(d.metadata["Name"]): d.version for d in importlib.metadata.distributions()}
    built = "The book was built." if book == "success" else "The book could not be built."
    sentence, failed = outcome(report)
    lines = [
        "# Newest versions",
        "",
        f"Python {platform.python_version()} on {platform.system()}. {built} {sentence}",
        "",
    ]
    lines += ["| package | pinned | here |", "|---|---|---|"]
    lines += [f"| {name} | {pinned.get(name, '')} | {installed.get(name, 'missing')} |" for name in direct_names()]
    if failed:
        lines += ["", "## Failed", "", *[f"- `{name}`" for name in failed]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(Path(sys.argv[1]), sys.argv[2]))
