"""The third-party files of the pages are those that vendor.sha256 lists; the script that fetches them breaks none."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
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


# Acts npm: files of the names that the script looks for, each with the same words in it.
NPM = """#!/bin/sh
[ "$1" = install ] || exit 0
put() { for file; do mkdir -p "node_modules/$(dirname "$file")" && echo "$WORDS" >"node_modules/$file"; done; }
put mathjax/LICENSE mathjax/es5/tex-mml-chtml.js
put mathjax/es5/output/chtml/fonts/woff-v2/a mathjax/es5/input/tex/extensions/a
put requirejs/require.js anywidget/dist/index.js anywidget/LICENSE @jupyter-widgets/base7/LICENSE
put @jupyter-widgets/html-manager/dist/embed-amd.js @jupyter-widgets/html-manager/dist/embed.js.LICENSE.txt
put @jupyter-widgets/html-manager/dist/1551f4f60c37af51121f.woff2
put @jupyter-widgets/html-manager/dist/7a3337626410ca2f4071.woff2
[ -n "$BREAKS" ] || put @fortawesome/fontawesome-free/LICENSE.txt
"""


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    """Runs a copy of the script in `tmp_path`, with an npm that gives files of some words, or breaks off."""
    npm = tmp_path / "bin" / "npm"
    license = tmp_path / "vendor" / "widgets" / "licenses" / "requirejs.txt"
    for path, text in ((npm, NPM), (license, "by hand")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    npm.chmod(0o755)
    shutil.copy(STATIC / "vendor.sh", tmp_path)
    monkeypatch.setenv("PATH", f"{npm.parent}:{os.environ['PATH']}")

    def run(words: str, *options: str, breaks: str = "") -> int:
        environment = {**os.environ, "WORDS": words, "BREAKS": breaks}
        command = ["sh", tmp_path / "vendor.sh", *options]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    return run


def held(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, but for the program that is acted."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "bin")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_script_replaces_the_files_by_those_it_recorded(fetch, tmp_path):
    assert fetch("first", "--record") == 0
    (tmp_path / "vendor" / "gone.js").touch()
    assert fetch("first") == 0
    assert differences(tmp_path / "vendor", listed((tmp_path / "vendor.sha256").read_text())) == []
    assert (tmp_path / "vendor" / "widgets" / "require.js").read_text() == "first\n"
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "vendor", "vendor.sh", "vendor.sha256"}


@pytest.mark.parametrize(
    ("words", "options", "breaks"), [("other", (), ""), ("first", (), "yes"), ("other", ("--record",), "yes")]
)
def test_a_failure_leaves_the_files_as_they_were(fetch, tmp_path, words, options, breaks):
    assert fetch("first", "--record") == 0
    before = held(tmp_path)
    assert fetch(words, *options, breaks=breaks) != 0
    assert held(tmp_path) == before
