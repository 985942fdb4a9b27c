"""The third-party files of the pages are those that vendor.sha256 lists, and what the settings ask for is there."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "book" / "_static"


def listed(text: str) -> dict[str, str]:
    """SHA-256 by path, from the lines that sha256sum writes."""
    return {path.removeprefix("./"): digest for digest, path in (line.split(maxsplit=1) for line in text.splitlines())}


def differences(folder: Path, wanted: dict[str, str]) -> list[str]:
    """What is missing, changed or not listed, one sentence each."""
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    found = [f"{name} is missing" for name in sorted(wanted.keys() - there.keys())]
    for name, path in sorted(there.items()):
        if name not in wanted:
            found.append(f"{name} is not listed")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != wanted[name]:
            found.append(f"{name} is changed")
    return found


def test_every_file_is_the_one_that_was_recorded():
    assert differences(STATIC / "vendor", listed((STATIC / "vendor.sha256").read_text())) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.js": "1", "b/c.js": "2"}, []),
        ({"a.js": "1"}, ["b/c.js is missing"]),
        ({"a.js": "1", "b/c.js": "3"}, ["b/c.js is changed"]),
        ({"a.js": "1", "b/c.js": "2", "b/d.js": ""}, ["b/d.js is not listed"]),
    ],
)
def test_a_planted_difference_is_found(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    lines = f"{hashlib.sha256(b'1').hexdigest()}  ./a.js\n{hashlib.sha256(b'2').hexdigest()}  ./b/c.js\n"
    assert differences(tmp_path, listed(lines)) == expected


def test_the_scripts_of_the_settings_are_there_and_nothing_names_the_internet():
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]
    scripts = settings["nb_ipywidgets_js"]
    order = ["vendor/widgets/require.js", "widgets.js", "vendor/widgets/embed-amd.js"]
    assert list(scripts) == order  # the loader, where modules lie, the manager
    assert scripts[order[-1]] == {"data-jupyter-widgets-cdn": "./no-cdn/"}
    for name in [*order, settings["mathjax_path"], *settings["html_css_files"]]:
        assert (STATIC / name).is_file(), name


def test_the_widget_script_has_the_version_of_the_package():
    """Python writes its version into a widget's state, and the page shows that state by this script."""
    script = (STATIC / "vendor.sh").read_text()
    pins = (ROOT / "constraints.txt").read_text().split()
    assert f"anywidget=={re.search(r'^ANYWIDGET=([0-9.]+)', script, flags=re.MULTILINE)[1]}" in pins
