"""pyproject.toml, constraints.txt and environment.yml name the same packages with the same versions."""

from __future__ import annotations

import contextlib
import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent


def direct_requirements(pyproject: str) -> dict[str, Requirement]:
    """What the package and its extras ask for, by normalized name."""
    project = tomllib.loads(pyproject)["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def pins(lines: list[str]) -> dict[str, str]:
    """Exact versions by normalized name; a line that is not ``name==version`` is refused."""
    found: dict[str, str] = {}
    for line in lines:
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
        assert match, f"{line!r} is not a plain pin name==version"
        name = canonicalize_name(match[1])
        assert name not in found, f"{name} is pinned twice"
        found[name] = match[2]
    return found


def disagreements(direct: dict[str, Requirement], lock: dict[str, str], conda: dict[str, str]) -> list[str]:
    """Each way in which the three files differ, one sentence each."""
    found = []
    for name, requirement in direct.items():
        if name not in lock:
            found.append(f"{name} is not pinned in constraints.txt")
        elif not requirement.specifier.contains(lock[name], prereleases=True):
            found.append(f"{name}=={lock[name]} in constraints.txt does not satisfy {requirement}")
        if conda.get(name) != lock.get(name):
            found.append(f"{name} is {conda.get(name)} in environment.yml and {lock.get(name)} in constraints.txt")
    return found + [f"{name} in environment.yml is not in pyproject.toml" for name in conda if name not in direct]


@pytest.fixture(scope="module")
def direct():
    return direct_requirements((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def lock():
    return pins((ROOT / "constraints.txt").read_text().split())


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def test_the_three_files_agree(direct, lock, environment):
    lines = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    options = [line for line in lines if line.startswith("-")]
    assert options == ["-c constraints.txt", "-e .[book,dev]"]
    assert disagreements(direct, lock, pins([line for line in lines if line not in options])) == []


def test_conda_brings_python_3_11(environment):
    assert "python=3.11" in environment["dependencies"]


def test_torch_is_pinned_without_a_local_version(lock):
    assert re.fullmatch(r"[0-9.]+", lock["torch"])


def test_the_pins_serve_the_python_of_debian_12(lock):
    """Debian 12 has Python 3.11.2, whose `re` lacks what soupsieve 3 needs: 3.0 breaks there, later ones refuse it."""
    assert Version(lock["soupsieve"]) < Version("3")
    refusing = []
    for name, pin in lock.items():
        with contextlib.suppress(PackageNotFoundError):
            needs = SpecifierSet(metadata(name).get("Requires-Python") or "")
            if Version(version(name)).public == pin and "3.11.2" not in needs:
                refusing.append(name)
    assert refusing == []


def test_constraints_are_sorted():
    lines = (ROOT / "constraints.txt").read_text().split()
    assert lines == sorted(lines, key=str.upper)


@pytest.mark.parametrize(
    ("asked", "lock", "conda", "expected"),
    [
        ("numpy>=2", {}, {}, "numpy is not pinned"),
        ("numpy>=2", {"numpy": "1.26"}, {"numpy": "1.26"}, "does not satisfy numpy>=2"),
        ("numpy>=2", {"numpy": "2.4"}, {"numpy": "2.3"}, "2.3 in environment.yml and 2.4"),
        ("numpy>=2", {"numpy": "2.4"}, {}, "None in environment.yml"),
        ("numpy>=2", {"numpy": "2.4"}, {"numpy": "2.4", "gone": "1"}, "gone in environment.yml is not in"),
    ],
)
def test_a_planted_difference_is_found(asked, lock, conda, expected):
    assert expected in " ".join(disagreements({"numpy": Requirement(asked)}, lock, conda))


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "torch==2.13.0+cpu"])
def test_a_loose_pin_is_refused(line):
    with pytest.raises(AssertionError, match="not a plain pin"):
        pins([line])
